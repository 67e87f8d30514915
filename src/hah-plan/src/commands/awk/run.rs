//! A program at work: rules on records, and statements.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::lexer::unescaped;
use super::records::{FieldSeparator, Reader, Separator, compile, split};
use super::streams::{Streams, Way};
use super::syntax::{Expression, Program, Statement, Target, Variable, When};
use super::value::Value;
use crate::commands::regex::Pattern;
use crate::commands::{Process, Refusal};
use crate::world::Errno;

/// Numbers of awk's own variables: their places in [`super::parser::SPECIAL`].
pub(super) const NF: usize = 0;
pub(super) const NR: usize = 1;
pub(super) const FNR: usize = 2;
pub(super) const FS: usize = 3;
pub(super) const OFS: usize = 4;
pub(super) const ORS: usize = 5;
pub(super) const RS: usize = 6;
pub(super) const FILENAME: usize = 7;
pub(super) const SUBSEP: usize = 8;
pub(super) const RSTART: usize = 9;
pub(super) const RLENGTH: usize = 10;
pub(super) const CONVFMT: usize = 11;
pub(super) const OFMT: usize = 12;
const ENVIRON: usize = 13;
const ARGV: usize = 14;
const ARGC: usize = 15;

/// Most fields of a record.
const FIELDS_MAX: usize = 100_000;

/// What ends more than a statement.
pub(super) enum Stop {
    Refused(Refusal),
    /// awk gives up, with status 2.
    Fatal(String),
    Next,
    NextFile,
    Exit,
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Errno> for Stop {
    fn from(error: Errno) -> Self {
        match error.is_final() {
            true => Self::Refused(error.into()),
            false => Self::Fatal(error.to_string()),
        }
    }
}

/// How a statement ends.
pub(super) enum Flow {
    On,
    Break,
    Continue,
    Return(Value),
}

/// Elements by key.
pub(super) type Array = BTreeMap<Vec<u8>, Value>;

/// A variable: what it is as a value, and the array that it is when it is used as one.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) value: Value,
    pub(super) array: usize,
}

/// The machine.
pub(super) struct Machine<'a, 'p, 'w> {
    pub(super) program: &'a Program,
    pub(super) process: &'a mut Process<'p, 'w>,
    pub(super) globals: Vec<Cell>,
    pub(super) frames: Vec<Vec<Cell>>,
    pub(super) arrays: Vec<Array>,
    record: Rc<[u8]>,
    fields: Vec<Value>,
    is_split: bool,
    is_joined: bool,
    pub(super) streams: Streams,
    compiled: BTreeMap<Vec<u8>, Rc<Pattern>>,
    ranges: Vec<bool>,
    input: Option<Reader>,
    argument: usize,
    /// Whether a file was named and read.
    had_file: bool,
    status: u8,
}

impl<'a, 'p, 'w> Machine<'a, 'p, 'w> {
    pub(super) fn new(program: &'a Program, process: &'a mut Process<'p, 'w>) -> Result<Self, Refusal> {
        let globals = (0..program.globals.len()).map(|array| Cell { value: Value::Unset, array });
        let mut machine = Self {
            globals: globals.collect(),
            arrays: vec![Array::new(); program.globals.len()],
            ranges: vec![false; program.ranges],
            program,
            process,
            frames: Vec::new(),
            record: Rc::from([]),
            fields: Vec::new(),
            is_split: true,
            is_joined: true,
            streams: Streams::default(),
            compiled: BTreeMap::new(),
            input: None,
            argument: 1,
            had_file: false,
            status: 0,
        };
        for (variable, text) in
            [(FS, " "), (OFS, " "), (ORS, "\n"), (RS, "\n"), (SUBSEP, "\u{1c}"), (CONVFMT, "%.6g"), (OFMT, "%.6g")]
        {
            machine.globals[variable].value = Value::text(text.as_bytes());
        }
        for variable in [NF, NR, FNR, RSTART] {
            machine.globals[variable].value = Value::Number(0.0);
        }
        machine.globals[RLENGTH].value = Value::Number(-1.0);
        for (name, value) in machine.process.env {
            machine.arrays[ENVIRON].insert(name.clone().into_bytes(), Value::input(value.as_bytes()));
        }
        Ok(machine)
    }

    pub(super) fn set_separator(&mut self, text: &str) -> Result<(), Refusal> {
        if text == "t" {
            return self.process.unknown("-F t");
        }
        self.globals[FS].value = Value::text(&unescaped(text.as_bytes()));
        Ok(())
    }

    /// Does `name=value`; whether it is one.
    pub(super) fn command_line_assignment(&mut self, text: &str) -> Result<bool, Refusal> {
        let Some((name, value)) = text.split_once('=') else { return Ok(false) };
        let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if !starts || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Ok(false);
        }
        // A variable that the program does not name is nobody's.
        if let Some(number) = self.program.globals.iter().position(|global| global == name) {
            if number == NF {
                return self.process.unknown("an assignment to NF on the command line");
            }
            self.globals[number].value = Value::input(&unescaped(value.as_bytes()));
        }
        Ok(true)
    }

    pub(super) fn set_arguments(&mut self, name: &str, operands: &[String]) {
        for (index, text) in std::iter::once(name).chain(operands.iter().map(String::as_str)).enumerate() {
            self.arrays[ARGV].insert(index.to_string().into_bytes(), Value::input(text.as_bytes()));
        }
        self.globals[ARGC].value = Value::Number(operands.len() as f64 + 1.0);
    }

    /// Runs everything; the exit status.
    pub(super) fn run_program(mut self) -> Result<u8, Refusal> {
        let ended = match self.rules() {
            Err(Stop::Exit) => self.end_rules(),
            Ok(()) => self.end_rules(),
            ended => ended,
        };
        let closed = match ended {
            Ok(()) | Err(Stop::Exit | Stop::Next | Stop::NextFile) => self.streams.close_all(self.process),
            ended => ended,
        };
        match closed {
            Err(Stop::Refused(refusal)) => Err(refusal),
            Err(Stop::Fatal(message)) => {
                // What was printed before stays printed.
                if let Err(Stop::Refused(refusal)) = self.streams.flush(self.process) {
                    return Err(refusal);
                }
                self.process.complain(message);
                Ok(2)
            }
            _ => Ok(self.status),
        }
    }

    fn rules(&mut self) -> Result<(), Stop> {
        let program = self.program;
        for body in &program.begin {
            self.statements(body)?;
        }
        if program.rules.is_empty() && program.end.is_empty() {
            return Ok(());
        }
        while self.next_main_record()? {
            match self.one_record() {
                Ok(()) | Err(Stop::Next) => {}
                Err(Stop::NextFile) => self.input = None,
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    fn end_rules(&mut self) -> Result<(), Stop> {
        let program = self.program;
        for body in &program.end {
            self.statements(body)?;
        }
        Ok(())
    }

    fn one_record(&mut self) -> Result<(), Stop> {
        let program = self.program;
        for (when, body) in &program.rules {
            let selected = match when {
                When::Always => true,
                When::If(condition) => self.evaluate(condition)?.is_true(),
                When::Range(first, last, state) => {
                    let inside = self.ranges[*state] || self.evaluate(first)?.is_true();
                    self.ranges[*state] = inside && !self.evaluate(last)?.is_true();
                    inside
                }
            };
            if !selected {
                continue;
            }
            match body {
                Some(body) => {
                    self.statements(body)?;
                }
                None => self.print_values(&[], &None)?,
            }
        }
        Ok(())
    }

    /// Reads the next record of the program's input into `$0`.
    pub(super) fn next_main_record(&mut self) -> Result<bool, Stop> {
        match self.next_main_text()? {
            Some(text) => {
                self.set_record(text.into());
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// The next record of the program's input, counted.
    pub(super) fn next_main_text(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        loop {
            self.process.step()?;
            if self.input.is_none() && !self.open_next_file()? {
                return Ok(None);
            }
            let separator = self.record_separator()?;
            let Some(input) = &mut self.input else { return Ok(None) };
            if let Some(text) = input.next(&separator)? {
                for counter in [NR, FNR] {
                    let count = self.globals[counter].value.number() + 1.0;
                    self.globals[counter].value = Value::Number(count);
                }
                return Ok(Some(text));
            }
            self.input = None;
        }
    }

    fn open_next_file(&mut self) -> Result<bool, Stop> {
        loop {
            let count = self.globals[ARGC].value.number();
            if self.argument as f64 >= count {
                if std::mem::replace(&mut self.had_file, true) {
                    return Ok(false);
                }
                let bytes = self.process.take_stdin();
                self.input = Some(Reader::new(bytes));
                return Ok(true);
            }
            let key = self.argument.to_string().into_bytes();
            self.argument += 1;
            let name = match self.arrays[ARGV].get(&key) {
                Some(value) => self.owned_text(&value.clone()),
                None => continue,
            };
            if name.is_empty() || self.command_line_assignment(&name)? {
                continue;
            }
            self.had_file = true;
            let bytes = match name.as_str() {
                "-" | "/dev/stdin" => self.process.take_stdin(),
                _ => match self.process.world.read(&self.process.cwd, &name) {
                    Ok(bytes) => bytes,
                    Err(error) if error.is_final() => return Err(error.into()),
                    Err(error) => return Err(Stop::Fatal(format!("cannot open \"{name}\" ({error})"))),
                },
            };
            self.globals[FILENAME].value = Value::input(name.as_bytes());
            self.globals[FNR].value = Value::Number(0.0);
            self.input = Some(Reader::new(bytes));
            return Ok(true);
        }
    }

    pub(super) fn record_separator(&mut self) -> Result<Separator, Stop> {
        let text = self.variable_text(RS);
        Ok(match &*text {
            [] => Separator::Paragraph,
            [byte] => Separator::Byte(*byte),
            text => Separator::Pattern(self.dynamic_pattern(text)?),
        })
    }

    pub(super) fn variable_text(&self, variable: usize) -> Rc<[u8]> {
        self.globals[variable].value.bytes(b"%.6g")
    }

    /// A pattern that is a text, compiled once.
    pub(super) fn dynamic_pattern(&mut self, text: &[u8]) -> Result<Rc<Pattern>, Stop> {
        if let Some(pattern) = self.compiled.get(text) {
            return Ok(Rc::clone(pattern));
        }
        let pattern = compile(text)?;
        if self.compiled.len() > 500 {
            self.compiled.clear();
        }
        self.compiled.insert(text.to_vec(), Rc::clone(&pattern));
        Ok(pattern)
    }

    pub(super) fn field_separator(&mut self, text: &[u8]) -> Result<FieldSeparator, Stop> {
        Ok(match text {
            b" " => FieldSeparator::Blanks,
            [] => FieldSeparator::Everywhere,
            [byte] => FieldSeparator::Byte(*byte),
            text => FieldSeparator::Pattern(self.dynamic_pattern(text)?),
        })
    }

    pub(super) fn set_record(&mut self, text: Rc<[u8]>) {
        self.record = text;
        (self.is_split, self.is_joined) = (false, true);
    }

    /// Takes the record apart, if that was not done yet.
    pub(super) fn split_record(&mut self) -> Result<(), Stop> {
        if self.is_split {
            return Ok(());
        }
        let separator = self.variable_text(FS);
        let separator = self.field_separator(&separator)?;
        let paragraph = self.variable_text(RS).is_empty();
        let record = Rc::clone(&self.record);
        let parts = split(&record, &separator, paragraph)?;
        self.process.world.spend_steps(parts.len() as u64)?;
        self.fields = parts.iter().map(|part| Value::input(part)).collect();
        self.is_split = true;
        self.globals[NF].value = Value::Number(self.fields.len() as f64);
        Ok(())
    }

    pub(super) fn field(&mut self, number: usize) -> Result<Value, Stop> {
        if number == 0 {
            if !self.is_joined {
                let (joint, format) = (self.variable_text(OFS), self.variable_text(CONVFMT));
                let parts: Vec<Rc<[u8]>> = self.fields.iter().map(|field| field.bytes(&format)).collect();
                self.record = parts.join(&*joint).into();
                self.process.world.spend_bytes(self.record.len() as u64)?;
                self.is_joined = true;
            }
            return Ok(Value::Input(Rc::clone(&self.record)));
        }
        self.split_record()?;
        Ok(self.fields.get(number - 1).cloned().unwrap_or_default())
    }

    pub(super) fn set_field(&mut self, number: usize, value: Value) -> Result<(), Stop> {
        if number == 0 {
            let format = self.variable_text(CONVFMT);
            self.set_record(value.bytes(&format));
            return Ok(());
        }
        self.split_record()?;
        if number > self.fields.len() {
            self.set_field_count(number)?;
        }
        self.fields[number - 1] = value;
        self.is_joined = false;
        Ok(())
    }

    pub(super) fn set_field_count(&mut self, count: usize) -> Result<(), Stop> {
        self.split_record()?;
        if count > FIELDS_MAX {
            return Err(Refusal::new("an awk record of so many fields").into());
        }
        self.fields.resize(count, Value::text(b""));
        self.is_joined = false;
        self.globals[NF].value = Value::Number(count as f64);
        Ok(())
    }

    /// A value as a name or a command line.
    pub(super) fn owned_text(&self, value: &Value) -> String {
        String::from_utf8_lossy(&value.bytes(&self.variable_text(CONVFMT))).into_owned()
    }

    fn statements(&mut self, body: &[Statement]) -> Result<Flow, Stop> {
        for statement in body {
            match self.statement(statement)? {
                Flow::On => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::On)
    }

    pub(super) fn body_of(&mut self, body: &[Statement]) -> Result<Flow, Stop> {
        self.statements(body)
    }

    fn statement(&mut self, statement: &Statement) -> Result<Flow, Stop> {
        self.process.step()?;
        match statement {
            Statement::Block(body) => return self.statements(body),
            Statement::Expression(expression) => {
                self.evaluate(expression)?;
            }
            Statement::Print(values, target) => self.print_values(values, target)?,
            Statement::Printf(values, target) => {
                let text = self.formatted(values)?;
                self.put(&text, target)?;
            }
            Statement::If(condition, then, other) => {
                if self.evaluate(condition)?.is_true() {
                    return self.statement(then);
                }
                if let Some(other) = other {
                    return self.statement(other);
                }
            }
            Statement::While(condition, body) => {
                while self.evaluate(condition)?.is_true() {
                    match self.statement(body)? {
                        Flow::Break => break,
                        flow @ Flow::Return(_) => return Ok(flow),
                        _ => {}
                    }
                }
            }
            Statement::DoWhile(body, condition) => loop {
                match self.statement(body)? {
                    Flow::Break => break,
                    flow @ Flow::Return(_) => return Ok(flow),
                    _ => {}
                }
                if !self.evaluate(condition)?.is_true() {
                    break;
                }
            },
            Statement::For(first, condition, step, body) => {
                if let Some(first) = first {
                    self.statement(first)?;
                }
                loop {
                    self.process.step()?;
                    if let Some(condition) = condition
                        && !self.evaluate(condition)?.is_true()
                    {
                        break;
                    }
                    match self.statement(body)? {
                        Flow::Break => break,
                        flow @ Flow::Return(_) => return Ok(flow),
                        _ => {}
                    }
                    if let Some(step) = step {
                        self.statement(step)?;
                    }
                }
            }
            Statement::ForIn(variable, array, body) => {
                for key in self.keys(*array) {
                    self.set_variable(*variable, Value::input(&key))?;
                    match self.statement(body)? {
                        Flow::Break => break,
                        flow @ Flow::Return(_) => return Ok(flow),
                        _ => {}
                    }
                }
            }
            Statement::Delete(array, key) => {
                let array = self.cell(*array).array;
                match key {
                    Some(key) => {
                        let key = self.key(key)?;
                        self.arrays[array].remove(&key);
                    }
                    None => self.arrays[array].clear(),
                }
            }
            Statement::Break => return Ok(Flow::Break),
            Statement::Continue => return Ok(Flow::Continue),
            Statement::Next => return Err(Stop::Next),
            Statement::NextFile => return Err(Stop::NextFile),
            Statement::Exit(status) => {
                if let Some(status) = status {
                    self.status = self.evaluate(status)?.number() as i64 as u8;
                }
                return Err(Stop::Exit);
            }
            Statement::Return(value) => {
                let value = match value {
                    Some(value) => self.evaluate(value)?,
                    None => Value::Unset,
                };
                return Ok(Flow::Return(value));
            }
        }
        Ok(Flow::On)
    }

    /// The keys of an array: whole numbers in their order, then others in the order of bytes.
    fn keys(&self, array: Variable) -> Vec<Vec<u8>> {
        let mut keys: Vec<Vec<u8>> = self.arrays[self.cell(array).array].keys().cloned().collect();
        let number = |key: &[u8]| std::str::from_utf8(key).ok().and_then(|text| text.parse::<i64>().ok());
        keys.sort_by_key(|key| match number(key) {
            Some(number) => (0, number, Vec::new()),
            None => (1, 0, key.clone()),
        });
        keys
    }

    fn print_values(&mut self, values: &[Expression], target: &Option<Target>) -> Result<(), Stop> {
        let mut text = Vec::new();
        if values.is_empty() {
            let format = self.variable_text(OFMT);
            text.extend_from_slice(&self.field(0)?.bytes(&format));
        }
        for (index, value) in values.iter().enumerate() {
            let value = self.evaluate(value)?;
            if index > 0 {
                text.extend_from_slice(&self.variable_text(OFS));
            }
            text.extend_from_slice(&value.bytes(&self.variable_text(OFMT)));
        }
        text.extend_from_slice(&self.variable_text(ORS));
        self.put(&text, target)
    }

    fn put(&mut self, text: &[u8], target: &Option<Target>) -> Result<(), Stop> {
        let (name, way) = match target {
            None => {
                self.process.world.spend_bytes(text.len() as u64)?;
                self.process.print(text);
                return Ok(());
            }
            Some(Target::Write(name)) => (name, Way::Write),
            Some(Target::Append(name)) => (name, Way::Append),
            Some(Target::Command(name)) => (name, Way::Command),
        };
        let name = self.evaluate(name)?;
        let name = self.owned_text(&name);
        self.streams.print(self.process, &name, way, text)
    }
}
