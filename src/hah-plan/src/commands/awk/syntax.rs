//! A program as data.

/// A variable: of the program, or of the function that is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    Global(usize),
    Local(usize),
}

/// Something that can be assigned to.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Variable(Variable),
    Element(Variable, Vec<Expression>),
    Field(Box<Expression>),
}

/// Where getline reads from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// The program's input.
    Main,
    File(Box<Expression>),
    Command(Box<Expression>),
}

#[derive(Clone, Debug)]
pub(super) enum Expression {
    Number(f64),
    Text(Vec<u8>),
    /// A pattern, by its number; alone it is matched against the record.
    Regex(usize),
    Value(Place),
    /// `place OP= value`, plain with no sign.
    Assign(Option<&'static str>, Box<Place>, Box<Expression>),
    /// `++`/`--`: what is added, and whether the new value counts.
    Step(f64, bool, Box<Place>),
    Choice(Box<Expression>, Box<Expression>, Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    Plus(Box<Expression>),
    /// Key, array.
    In(Vec<Expression>, Variable),
    /// Whether it is `~`, text, pattern.
    Match(bool, Box<Expression>, Box<Expression>),
    Arithmetic(&'static str, Box<Expression>, Box<Expression>),
    Compare(&'static str, Box<Expression>, Box<Expression>),
    Join(Box<Expression>, Box<Expression>),
    Call(usize, Vec<Expression>),
    Builtin(&'static str, Vec<Expression>),
    Getline(Source, Option<Box<Place>>),
    /// `(a, b)`, which only `in` and `print` take.
    Group(Vec<Expression>),
}

/// Where print prints to.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Write(Expression),
    Append(Expression),
    Command(Expression),
}

#[derive(Clone, Debug)]
pub(super) enum Statement {
    Block(Vec<Statement>),
    Expression(Expression),
    Print(Vec<Expression>, Option<Target>),
    Printf(Vec<Expression>, Option<Target>),
    If(Expression, Box<Statement>, Option<Box<Statement>>),
    While(Expression, Box<Statement>),
    DoWhile(Box<Statement>, Expression),
    For(Option<Box<Statement>>, Option<Expression>, Option<Box<Statement>>, Box<Statement>),
    ForIn(Variable, Variable, Box<Statement>),
    Delete(Variable, Option<Vec<Expression>>),
    Break,
    Continue,
    Next,
    NextFile,
    Exit(Option<Expression>),
    Return(Option<Expression>),
}

/// When a rule's action is done.
#[derive(Clone, Debug)]
pub(super) enum When {
    Always,
    If(Expression),
    /// From one to the other; the number of its state.
    Range(Expression, Expression, usize),
}

/// A function of the program.
#[derive(Clone, Debug, Default)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) parameters: Vec<String>,
    pub(super) body: Vec<Statement>,
    pub(super) defined: bool,
}

/// A whole program.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) begin: Vec<Vec<Statement>>,
    /// Without an action, the record is printed.
    pub(super) rules: Vec<(When, Option<Vec<Statement>>)>,
    pub(super) end: Vec<Vec<Statement>>,
    pub(super) functions: Vec<Function>,
    /// Names of variables of the program.
    pub(super) globals: Vec<String>,
    pub(super) patterns: Vec<crate::commands::regex::Pattern>,
    pub(super) ranges: usize,
}
