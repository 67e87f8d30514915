//! awk's own functions.

use super::run::{CONVFMT, FS, Machine, RLENGTH, RSTART, Stop};
use super::streams::run_shell;
use super::syntax::{Expression, Place, Variable};
use super::value::{Value, number_text};
use crate::commands::date::format_time;
use crate::commands::printf::parse_conversion;
use crate::commands::{Refusal, regex::Pattern};

impl Machine<'_, '_, '_> {
    pub(super) fn builtin(&mut self, name: &str, arguments: &[Expression]) -> Result<Value, Stop> {
        let number = |value: f64| Ok(Value::Number(value));
        match (name, arguments) {
            ("length", []) => {
                let record = self.field(0)?.bytes(b"");
                number(record.len() as f64)
            }
            ("length", [Expression::Value(Place::Variable(variable))]) => {
                let cell = self.cell(*variable).clone();
                match (&cell.value, self.arrays[cell.array].len()) {
                    (Value::Unset, elements) if *variable != Variable::Global(0) => number(elements as f64),
                    _ => number(self.text_of(&arguments[0])?.len() as f64),
                }
            }
            ("length", [text, ..]) => number(self.text_of(text)?.len() as f64),
            ("substr", [text, from, rest @ ..]) => {
                let text = self.text_of(text)?;
                let from = self.evaluate(from)?.number();
                let count = match rest.first() {
                    Some(count) => self.evaluate(count)?.number(),
                    None => f64::INFINITY,
                };
                Ok(Value::text(substring(&text, from, count)))
            }
            ("index", [text, wanted]) => {
                let (text, wanted) = (self.text_of(text)?, self.text_of(wanted)?);
                let found = if wanted.is_empty() { Some(0) } else { memchr::memmem::find(&text, &wanted) };
                number(match found {
                    Some(_) if wanted.is_empty() => 0.0,
                    found => found.map_or(0.0, |at| at as f64 + 1.0),
                })
            }
            ("split", [text, target, rest @ ..]) => self.split_into(text, target, rest.first()),
            ("sub" | "gsub", [pattern, replacement, rest @ ..]) => {
                self.substitute(name == "gsub", pattern, replacement, rest.first())
            }
            ("match", [text, pattern]) => {
                let text = self.text_of(text)?;
                let found = self.with_pattern(pattern, |pattern| pattern.find_at(&text, 0))?;
                let (start, length) = found.map_or((0.0, -1.0), |found| (found.start as f64 + 1.0, found.len() as f64));
                self.globals[RSTART].value = Value::Number(start);
                self.globals[RLENGTH].value = Value::Number(length);
                number(start)
            }
            ("sprintf", values) => Ok(Value::text(&self.formatted(values)?)),
            ("tolower", [text]) => Ok(Value::text(&self.text_of(text)?.to_ascii_lowercase())),
            ("toupper", [text]) => Ok(Value::text(&self.text_of(text)?.to_ascii_uppercase())),
            ("sin", [value]) => number(self.evaluate(value)?.number().sin()),
            ("cos", [value]) => number(self.evaluate(value)?.number().cos()),
            ("exp", [value]) => number(self.evaluate(value)?.number().exp()),
            ("log", [value]) => number(self.evaluate(value)?.number().ln()),
            ("sqrt", [value]) => number(self.evaluate(value)?.number().sqrt()),
            ("int", [value]) => number(self.evaluate(value)?.number().trunc()),
            ("atan2", [y, x]) => {
                let y = self.evaluate(y)?.number();
                number(y.atan2(self.evaluate(x)?.number()))
            }
            ("rand" | "srand", _) => Err(Refusal::new("awk's random numbers may not reach an image").into()),
            ("system", [command]) => {
                let command = self.text_of(command)?;
                self.streams.flush(self.process)?;
                let stdin = self.process.take_stdin();
                let (status, ()) = run_shell(self.process, &String::from_utf8_lossy(&command), stdin)?;
                number(status.into())
            }
            ("close", [name]) => {
                let name = self.text_of(name)?;
                let status = self.streams.close(self.process, &String::from_utf8_lossy(&name))?;
                number(status.into())
            }
            ("fflush", rest) => {
                if let [name] = rest {
                    self.evaluate(name)?;
                }
                self.streams.flush(self.process)?;
                number(0.0)
            }
            ("systime", _) => number(self.process.world.epoch.into()),
            ("strftime", values) => {
                let format = match values.first() {
                    Some(format) => self.text_of(format)?,
                    None => b"%c".as_slice().into(),
                };
                let time = match values.get(1) {
                    Some(time) => self.evaluate(time)?.number() as i64,
                    None => self.process.world.epoch.into(),
                };
                match format_time(&String::from_utf8_lossy(&format), time) {
                    Ok(text) => Ok(Value::text(text.as_bytes())),
                    Err(letter) => Err(Refusal::new(format!("awk's strftime with %{letter}")).into()),
                }
            }
            _ => Err(Refusal::new(format!("awk's {name} with so many arguments")).into()),
        }
    }

    /// Does something with what stands where a pattern may.
    fn with_pattern<T>(
        &mut self,
        pattern: &Expression,
        with: impl FnOnce(&Pattern) -> Result<T, Refusal>,
    ) -> Result<T, Stop> {
        let program = self.program;
        if let Expression::Regex(number) = pattern {
            return Ok(with(&program.patterns[*number])?);
        }
        let text = self.text_of(pattern)?;
        let pattern = self.dynamic_pattern(&text)?;
        Ok(with(&pattern)?)
    }

    fn split_into(
        &mut self,
        text: &Expression,
        target: &Expression,
        separator: Option<&Expression>,
    ) -> Result<Value, Stop> {
        let text = self.text_of(text)?;
        let Expression::Value(Place::Variable(array)) = target else {
            return Err(Stop::Fatal("the second argument of split is no array".to_owned()));
        };
        let program = self.program;
        let parts = match separator {
            Some(Expression::Regex(number)) => {
                let mut parts = Vec::new();
                let (mut start, mut from) = (0, 0);
                while let Some(found) = program.patterns[*number].find_at(&text, from)? {
                    if found.is_empty() {
                        from = found.end + 1;
                        if from > text.len() {
                            break;
                        }
                        continue;
                    }
                    parts.push(text[start..found.start].to_vec());
                    (start, from) = (found.end, found.end);
                }
                parts.push(text[start..].to_vec());
                if text.is_empty() { Vec::new() } else { parts }
            }
            other => {
                let separator = match other {
                    Some(separator) => self.text_of(separator)?,
                    None => self.variable_text(FS),
                };
                let separator = self.field_separator(&separator)?;
                super::records::split(&text, &separator, false)?
            }
        };
        self.process.world.spend_steps(parts.len() as u64)?;
        let array = self.cell(*array).array;
        self.arrays[array] = parts
            .iter()
            .enumerate()
            .map(|(index, part)| ((index + 1).to_string().into_bytes(), Value::input(part)))
            .collect();
        Ok(Value::Number(parts.len() as f64))
    }

    fn substitute(
        &mut self,
        all: bool,
        pattern: &Expression,
        replacement: &Expression,
        target: Option<&Expression>,
    ) -> Result<Value, Stop> {
        let replacement = self.text_of(replacement)?;
        let record = Place::Field(Box::new(Expression::Number(0.0)));
        let place = match target {
            None => Some(record),
            Some(Expression::Value(place)) => Some(place.clone()),
            Some(_) => None,
        };
        let text = match (&place, target) {
            (Some(place), _) => self.text_of(&Expression::Value(place.clone()))?,
            (None, Some(target)) => self.text_of(target)?,
            (None, None) => return Ok(Value::Number(0.0)),
        };
        let (out, count) = self.with_pattern(pattern, |pattern| replaced(pattern, &text, &replacement, all))?;
        self.process.world.spend_bytes(out.len() as u64)?;
        self.process.world.spend_steps(count)?;
        if count > 0
            && let Some(place) = place
        {
            self.set_value_at(&place, Value::text(&out))?;
        }
        Ok(Value::Number(count as f64))
    }

    /// What printf prints.
    pub(super) fn formatted(&mut self, values: &[Expression]) -> Result<Vec<u8>, Stop> {
        let values = match values {
            [Expression::Group(inner)] => inner,
            values => values,
        };
        let Some((format, values)) = values.split_first() else { return Ok(Vec::new()) };
        let format = self.text_of(format)?;
        let Ok(format) = std::str::from_utf8(&format) else {
            return Err(Refusal::new("a format of awk that is not UTF-8").into());
        };
        let mut values = values.iter();
        let (mut out, mut left) = (Vec::new(), format);
        while let Some(start) = left.find('%') {
            out.extend_from_slice(&left.as_bytes()[..start]);
            left = &left[start..];
            let Some((mut conversion, used)) = parse_conversion(left) else {
                return Err(Refusal::new(format!("awk's format '{left}'")).into());
            };
            left = &left[used..];
            if conversion.letter == '%' {
                out.push(b'%');
                continue;
            }
            let mut next = |machine: &mut Self| match values.next() {
                Some(value) => machine.evaluate(value),
                None => Err(Stop::Fatal("not enough arguments passed to sprintf(\"%s\")".to_owned())),
            };
            if conversion.width_given {
                conversion.set_width(next(self)?.number() as i64);
            }
            if conversion.precision_given {
                conversion.precision = usize::try_from(next(self)?.number() as i64).ok();
            }
            let value = next(self)?;
            out.extend(match conversion.letter {
                'd' | 'i' | 'o' | 'u' | 'x' | 'X' => conversion.integer(value.number().trunc() as i128),
                'e' | 'E' | 'f' | 'F' | 'g' | 'G' => conversion.float(value.number()),
                'c' => match value {
                    Value::Number(code) => conversion.bytes(&[code as i64 as u8]),
                    other => {
                        let text = other.bytes(b"%.6g");
                        conversion.bytes(&text[..text.len().min(1)])
                    }
                },
                's' => match value {
                    Value::Number(number) => conversion.bytes(&number_text(number, &self.variable_text(CONVFMT))),
                    other => conversion.bytes(&other.bytes(b"%.6g")),
                },
                letter => return Err(Refusal::new(format!("awk's format %{letter}")).into()),
            });
            self.process.world.spend_bytes(out.len() as u64 / 16)?;
        }
        out.extend_from_slice(left.as_bytes());
        Ok(out)
    }
}

/// substr(3): places are rounded to whole ones.
fn substring(text: &[u8], from: f64, count: f64) -> &[u8] {
    if from.is_nan() || count.is_nan() {
        return b"";
    }
    let first = from.round();
    let end = if count.is_infinite() { f64::INFINITY } else { first + count.round() };
    let start = (first.max(1.0) - 1.0).min(text.len() as f64) as usize;
    let end = (end - 1.0).clamp(0.0, text.len() as f64) as usize;
    if start < end { &text[start..end] } else { b"" }
}

/// The text with the first match replaced, or all of them; how many there were.
fn replaced(pattern: &Pattern, text: &[u8], replacement: &[u8], all: bool) -> Result<(Vec<u8>, u64), Refusal> {
    let (mut out, mut from, mut copied, mut count) = (Vec::new(), 0, 0, 0);
    let mut last_end = None;
    while from <= text.len() {
        let Some(found) = pattern.find_at(text, from)? else { break };
        if found.is_empty() && last_end == Some(found.start) {
            from = found.end + 1;
            continue;
        }
        count += 1;
        last_end = Some(found.end);
        out.extend_from_slice(&text[copied..found.start]);
        let mut left = replacement;
        while let Some((first, rest)) = left.split_first() {
            left = rest;
            match (first, rest.first()) {
                (b'\\', Some(next @ (b'&' | b'\\'))) => {
                    out.push(*next);
                    left = &rest[1..];
                }
                (b'&', _) => out.extend_from_slice(&text[found.clone()]),
                (byte, _) => out.push(*byte),
            }
        }
        copied = found.end;
        from = if found.is_empty() { found.end + 1 } else { found.end };
        if !all {
            break;
        }
    }
    out.extend_from_slice(&text[copied..]);
    Ok((out, count))
}
