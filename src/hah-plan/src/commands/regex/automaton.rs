//! Patterns without back-references, on the automata of `regex-automata`.

use std::cell::RefCell;
use std::fmt;

use regex_automata::meta;
use regex_automata::nfa::thompson::pikevm::{self, PikeVM};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{
    Capture, Class as HirClass, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, Look, Repetition,
};

use super::class::Class;
use super::syntax::{Place, Syntax, Tree};
use super::{PatternError, Range, Reading, Refusal};

/// Most bytes that one machine may take.
const SIZE_MAX: usize = 16 << 20;

/// The machines of one pattern.
pub(super) struct Automaton {
    /// Finds where a match begins.
    meta: meta::Regex,
    /// Finds the longest end from there, and what groups hold.
    longest: Longest,
    /// The same with branches in reverse, where that could give groups something else.
    reversed: Option<Longest>,
}

impl fmt::Debug for Automaton {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Automaton")
    }
}

struct Longest {
    machine: PikeVM,
    cache: RefCell<pikevm::Cache>,
}

impl Automaton {
    pub(super) fn new(tree: &Tree, reading: Reading) -> Result<Self, PatternError> {
        let builder = HirBuilder { reading, reversed: false };
        let hir = builder.node(&tree.root)?;
        let config = meta::Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(SIZE_MAX))
            .which_captures(WhichCaptures::Implicit)
            .match_kind(MatchKind::LeftmostFirst);
        let meta = meta::Builder::new().configure(config).build_from_hir(&hir).map_err(too_big)?;
        let reversed = match tree.groups > 0 && tree.has_branches {
            true => Some(Longest::new(&HirBuilder { reading, reversed: true }.node(&tree.root)?)?),
            false => None,
        };
        Ok(Self { meta, longest: Longest::new(&hir)?, reversed })
    }

    pub(super) fn is_match(&self, text: &[u8]) -> bool {
        self.meta.is_match(text)
    }

    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<Range> {
        let start = self.meta.find(Input::new(text).span(from..text.len()))?.start();
        let slots = self.longest.slots(text, start, 2);
        Some(start..slots.get(1).copied().flatten().map_or(start, NonMaxUsize::get))
    }

    pub(super) fn groups(&self, text: &[u8], from: usize) -> Result<Option<Vec<Option<Range>>>, Refusal> {
        let Some(start) = self.meta.find(Input::new(text).span(from..text.len())).map(|found| found.start()) else {
            return Ok(None);
        };
        let all = self.longest.machine.get_nfa().group_info().slot_len();
        let slots = self.longest.slots(text, start, all);
        if let Some(reversed) = &self.reversed
            && reversed.slots(text, start, all) != slots
        {
            return Err(Refusal::new(
                "what a group of the regular expression holds depends on the order of its branches",
            ));
        }
        let groups = slots.chunks(2).map(|pair| match pair {
            [Some(start), Some(end)] => Some(start.get()..end.get()),
            _ => None,
        });
        Ok(Some(groups.collect()))
    }
}

impl Longest {
    fn new(hir: &Hir) -> Result<Self, PatternError> {
        let config =
            thompson::Config::new().utf8(false).nfa_size_limit(Some(SIZE_MAX)).which_captures(WhichCaptures::All);
        let nfa = thompson::Compiler::new().configure(config).build_from_hir(hir).map_err(too_big)?;
        let machine = PikeVM::builder()
            .configure(PikeVM::config().match_kind(MatchKind::All))
            .build_from_nfa(nfa)
            .map_err(too_big)?;
        let cache = RefCell::new(machine.create_cache());
        Ok(Self { machine, cache })
    }

    /// Start and end of the longest match at `start`, and of its groups.
    fn slots(&self, text: &[u8], start: usize, count: usize) -> Vec<Option<NonMaxUsize>> {
        let mut slots = vec![None; count];
        let input = Input::new(text).span(start..text.len()).anchored(Anchored::Yes);
        self.machine.search_slots(&mut self.cache.borrow_mut(), &input, &mut slots);
        slots
    }
}

fn too_big(_: impl std::error::Error) -> PatternError {
    PatternError::Refused("it makes too big a machine".to_owned())
}

struct HirBuilder {
    reading: Reading,
    reversed: bool,
}

impl HirBuilder {
    fn node(&self, node: &Syntax) -> Result<Hir, PatternError> {
        Ok(match node {
            Syntax::Empty => Hir::empty(),
            Syntax::Character(code) => {
                let mut class = Class::default();
                class.add(*code, *code);
                self.class(&class)
            }
            Syntax::Any => {
                let mut nothing = Class::default();
                nothing.negate();
                self.class(&nothing)
            }
            Syntax::Class(class) => self.class(class),
            Syntax::Group(number, inner) => Hir::capture(Capture {
                index: u32::try_from(*number).unwrap_or(u32::MAX),
                name: None,
                sub: Box::new(self.node(inner)?),
            }),
            Syntax::Sequence(parts) => Hir::concat(parts.iter().map(|part| self.node(part)).collect::<Result<_, _>>()?),
            Syntax::Branches(branches) => {
                let mut branches: Vec<Hir> =
                    branches.iter().map(|branch| self.node(branch)).collect::<Result<_, _>>()?;
                if self.reversed {
                    branches.reverse();
                }
                Hir::alternation(branches)
            }
            Syntax::Repeat(inner, min, max) => {
                Hir::repetition(Repetition { min: *min, max: *max, greedy: true, sub: Box::new(self.node(inner)?) })
            }
            Syntax::Place(place) => Hir::look(self.look(*place)),
            Syntax::Back(_) => return Err(PatternError::Refused("a back-reference where none can be".to_owned())),
        })
    }

    fn look(&self, place: Place) -> Look {
        match (place, self.reading.lines, self.reading.utf8) {
            (Place::LineStart, true, _) => Look::StartLF,
            (Place::LineEnd, true, _) => Look::EndLF,
            (Place::LineStart | Place::TextStart, ..) => Look::Start,
            (Place::LineEnd | Place::TextEnd, ..) => Look::End,
            (Place::WordEdge, _, true) => Look::WordUnicode,
            (Place::WordEdge, _, false) => Look::WordAscii,
            (Place::NoWordEdge, _, true) => Look::WordUnicodeNegate,
            (Place::NoWordEdge, _, false) => Look::WordAsciiNegate,
            (Place::WordStart, _, true) => Look::WordStartUnicode,
            (Place::WordStart, _, false) => Look::WordStartAscii,
            (Place::WordEnd, _, true) => Look::WordEndUnicode,
            (Place::WordEnd, _, false) => Look::WordEndAscii,
        }
    }

    fn class(&self, class: &Class) -> Hir {
        let (ranges, negated) = class.parts();
        if self.reading.utf8 {
            let ranges = ranges.iter().filter_map(|(first, last)| {
                Some(ClassUnicodeRange::new(nearest(*first, true)?, nearest(*last, false)?))
            });
            let mut set = ClassUnicode::new(ranges);
            if self.reading.fold {
                set.case_fold_simple();
            }
            if negated {
                set.negate();
            }
            Hir::class(HirClass::Unicode(set))
        } else {
            let byte = |code: u32| u8::try_from(code).unwrap_or(u8::MAX);
            let mut set =
                ClassBytes::new(ranges.iter().map(|(first, last)| ClassBytesRange::new(byte(*first), byte(*last))));
            if self.reading.fold {
                set.case_fold_simple();
            }
            if negated {
                set.negate();
            }
            Hir::class(HirClass::Bytes(set))
        }
    }
}

/// The character of this code; for one in the gap of surrogates, the next that is one.
fn nearest(code: u32, up: bool) -> Option<char> {
    char::from_u32(code).or(if up { char::from_u32(0xe000) } else { char::from_u32(0xd7ff) })
}
