//! Patterns with back-references: a machine that tries every way and keeps the longest, bounded in steps.

use super::class::Class;
use super::syntax::{Place, Syntax, Tree};
use super::{PatternError, Range, Reading, Refusal};

/// Most instructions of one program.
const PROGRAM_MAX: usize = 20_000;
/// Most instructions that one search may take.
const STEPS_MAX: u64 = 5_000_000;

#[derive(Debug)]
enum Instruction {
    Character(u32),
    Any,
    Class(Class),
    Place(Place),
    Back(usize),
    Save(usize),
    /// The first is tried first.
    Split(usize, usize),
    Jump(usize),
    /// Notes the place in a register.
    Note(usize),
    /// Fails when nothing was consumed since the note: ends loops over nothing.
    Moved(usize),
    Match,
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Program {
    code: Vec<Instruction>,
    groups: usize,
    registers: usize,
    reading: Reading,
}

impl Program {
    pub(super) fn new(tree: &Tree, reading: Reading) -> Result<Self, PatternError> {
        let mut program = Self { code: Vec::new(), groups: tree.groups, registers: 0, reading };
        program.emit(&tree.root)?;
        program.code.push(Instruction::Match);
        Ok(program)
    }

    fn emit(&mut self, node: &Syntax) -> Result<(), PatternError> {
        if self.code.len() > PROGRAM_MAX {
            return Err(PatternError::Refused("it makes too big a machine".to_owned()));
        }
        match node {
            Syntax::Empty => {}
            Syntax::Character(code) => self.code.push(Instruction::Character(*code)),
            Syntax::Any => self.code.push(Instruction::Any),
            Syntax::Class(class) => self.code.push(Instruction::Class(class.clone())),
            Syntax::Place(place) => self.code.push(Instruction::Place(*place)),
            Syntax::Back(group) => self.code.push(Instruction::Back(*group)),
            Syntax::Group(number, inner) => {
                self.code.push(Instruction::Save(number * 2));
                self.emit(inner)?;
                self.code.push(Instruction::Save(number * 2 + 1));
            }
            Syntax::Sequence(parts) => parts.iter().try_for_each(|part| self.emit(part))?,
            Syntax::Branches(branches) => {
                let mut ends = Vec::new();
                for (index, branch) in branches.iter().enumerate() {
                    let split = self.code.len();
                    if index + 1 < branches.len() {
                        self.code.push(Instruction::Split(split + 1, 0));
                    }
                    self.emit(branch)?;
                    if index + 1 < branches.len() {
                        ends.push(self.code.len());
                        self.code.push(Instruction::Jump(0));
                        let next = self.code.len();
                        self.code[split] = Instruction::Split(split + 1, next);
                    }
                }
                let end = self.code.len();
                ends.into_iter().for_each(|at| self.code[at] = Instruction::Jump(end));
            }
            Syntax::Repeat(inner, least, most) => {
                for _ in 0..*least {
                    self.emit(inner)?;
                }
                match most {
                    None => {
                        let register = self.registers;
                        self.registers += 1;
                        let split = self.code.len();
                        self.code.push(Instruction::Split(split + 1, 0));
                        self.code.push(Instruction::Note(register));
                        self.emit(inner)?;
                        self.code.push(Instruction::Moved(register));
                        self.code.push(Instruction::Jump(split));
                        let end = self.code.len();
                        self.code[split] = Instruction::Split(split + 1, end);
                    }
                    Some(most) => {
                        let mut splits = Vec::new();
                        for _ in *least..*most {
                            splits.push(self.code.len());
                            self.code.push(Instruction::Split(self.code.len() + 1, 0));
                            self.emit(inner)?;
                        }
                        let end = self.code.len();
                        splits.into_iter().for_each(|at| self.code[at] = Instruction::Split(at + 1, end));
                    }
                }
            }
        }
        Ok(())
    }

    /// The leftmost longest match from `from` on, with its groups.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Result<Option<Vec<Option<Range>>>, Refusal> {
        let mut steps = STEPS_MAX;
        for start in from..=text.len() {
            if self.reading.utf8 && text.get(start).is_some_and(|byte| byte & 0xc0 == 0x80) {
                continue;
            }
            if let Some(slots) = self.longest(text, start, &mut steps)? {
                let groups = slots.chunks(2).map(|pair| match pair {
                    [Some(start), Some(end)] => Some(*start..*end),
                    _ => None,
                });
                return Ok(Some(groups.collect()));
            }
        }
        Ok(None)
    }

    fn longest(&self, text: &[u8], start: usize, steps: &mut u64) -> Result<Option<Vec<Option<usize>>>, Refusal> {
        let slots_len = self.groups * 2 + 2;
        let mut slots: Vec<Option<usize>> = vec![None; slots_len + self.registers];
        slots[0] = Some(start);
        let mut best: Option<Vec<Option<usize>>> = None;
        // What to go back to: another way, or an older value of a slot.
        enum Undo {
            Way(usize, usize),
            Slot(usize, Option<usize>),
        }
        let mut undo: Vec<Undo> = Vec::new();
        let (mut pc, mut at) = (0, start);
        loop {
            *steps = steps.checked_sub(1).ok_or_else(|| Refusal::new("the regular expression takes too many steps"))?;
            if undo.len() > 1_000_000 {
                return Err(Refusal::new("the regular expression takes too many steps"));
            }
            let next = match &self.code[pc] {
                Instruction::Character(code) => {
                    self.step(text, at, |found| found == *code || self.reading.fold && folded(found) == folded(*code))
                }
                Instruction::Any => self.step(text, at, |_| true),
                Instruction::Class(class) => self.step(text, at, |found| class.contains(found, self.reading.fold)),
                Instruction::Place(place) => self.is_place(*place, text, at).then_some(at),
                Instruction::Back(group) => match (slots[group * 2], slots[group * 2 + 1]) {
                    (Some(from), Some(to)) => {
                        let same = text[at..].get(..to - from).is_some_and(|found| match self.reading.fold {
                            false => *found == text[from..to],
                            true => found.eq_ignore_ascii_case(&text[from..to]),
                        });
                        same.then_some(at + (to - from))
                    }
                    _ => None,
                },
                Instruction::Save(slot) => {
                    undo.push(Undo::Slot(*slot, slots[*slot]));
                    slots[*slot] = Some(at);
                    Some(at)
                }
                Instruction::Note(register) => {
                    let slot = slots_len + register;
                    undo.push(Undo::Slot(slot, slots[slot]));
                    slots[slot] = Some(at);
                    Some(at)
                }
                Instruction::Moved(register) => (slots[slots_len + register] != Some(at)).then_some(at),
                Instruction::Split(first, second) => {
                    undo.push(Undo::Way(*second, at));
                    pc = *first;
                    continue;
                }
                Instruction::Jump(to) => {
                    pc = *to;
                    continue;
                }
                Instruction::Match => {
                    if best.as_ref().is_none_or(|best| best[1] < Some(at)) {
                        slots[1] = Some(at);
                        best = Some(slots[..slots_len].to_vec());
                    }
                    if at == text.len() { return Ok(best) } else { None }
                }
            };
            match next {
                Some(next) => {
                    at = next;
                    pc += 1;
                }
                None => loop {
                    match undo.pop() {
                        None => return Ok(best),
                        Some(Undo::Slot(slot, value)) => slots[slot] = value,
                        Some(Undo::Way(other, place)) => {
                            (pc, at) = (other, place);
                            break;
                        }
                    }
                },
            }
        }
    }

    /// Behind the character at `at`, when `wanted` takes it.
    fn step(&self, text: &[u8], at: usize, wanted: impl Fn(u32) -> bool) -> Option<usize> {
        let (code, length) = self.character(text, at)?;
        wanted(code).then_some(at + length)
    }

    fn character(&self, text: &[u8], at: usize) -> Option<(u32, usize)> {
        let first = *text.get(at)?;
        if first < 0x80 || !self.reading.utf8 {
            return Some((first.into(), 1));
        }
        let length =
            (2..=4).find(|length| text.get(at..at + length).is_some_and(|bytes| std::str::from_utf8(bytes).is_ok()))?;
        let character = std::str::from_utf8(&text[at..at + length]).ok()?.chars().next()?;
        Some((character.into(), length))
    }

    fn is_place(&self, place: Place, text: &[u8], at: usize) -> bool {
        let word = Class::word(self.reading.utf8);
        let is_word = |code: Option<(u32, usize)>| code.is_some_and(|(code, _)| word.contains(code, false));
        let before = || {
            let start = (1..=4).find(|back| {
                at.checked_sub(*back)
                    .is_some_and(|start| self.character(text, start).is_some_and(|(_, length)| length == *back))
            });
            is_word(start.and_then(|back| self.character(text, at - back)))
        };
        let after = || is_word(self.character(text, at));
        match place {
            Place::LineStart if self.reading.lines => at == 0 || text[at - 1] == b'\n',
            Place::LineEnd if self.reading.lines => at == text.len() || text[at] == b'\n',
            Place::LineStart | Place::TextStart => at == 0,
            Place::LineEnd | Place::TextEnd => at == text.len(),
            Place::WordEdge => before() != after(),
            Place::NoWordEdge => before() == after(),
            Place::WordStart => !before() && after(),
            Place::WordEnd => before() && !after(),
        }
    }
}

fn folded(code: u32) -> u32 {
    char::from_u32(code).and_then(|character| character.to_lowercase().next()).map_or(code, u32::from)
}
