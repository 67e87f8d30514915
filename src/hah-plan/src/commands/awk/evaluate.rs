//! Expressions.

use std::rc::Rc;

use super::run::{CONVFMT, Cell, FS, Flow, Machine, NF, NR, RS, SUBSEP, Stop};
use super::syntax::{Expression, Place, Source, Variable};
use super::value::Value;
use crate::commands::Refusal;

/// Deepest calls of the program's functions.
const CALLS_MAX: usize = 100;

impl Machine<'_, '_, '_> {
    pub(super) fn cell(&self, variable: Variable) -> &Cell {
        match variable {
            Variable::Global(number) => &self.globals[number],
            Variable::Local(number) => &self.frames[self.frames.len() - 1][number],
        }
    }

    pub(super) fn set_variable(&mut self, variable: Variable, value: Value) -> Result<(), Stop> {
        match variable {
            Variable::Global(NF) => {
                let count = value.number();
                if count < 0.0 {
                    return Err(Stop::Fatal("negative value assigned to NF".to_owned()));
                }
                self.set_field_count(count as usize)
            }
            Variable::Global(number) => {
                // A record is taken apart by the separator that stood when it was read.
                if matches!(number, FS | RS) {
                    self.split_record()?;
                }
                self.globals[number].value = value;
                Ok(())
            }
            Variable::Local(number) => {
                if let Some(frame) = self.frames.last_mut() {
                    frame[number].value = value;
                }
                Ok(())
            }
        }
    }

    /// The key of an element: its parts with SUBSEP between them.
    pub(super) fn key(&mut self, parts: &[Expression]) -> Result<Vec<u8>, Stop> {
        let mut key = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let value = self.evaluate(part)?;
            if index > 0 {
                key.extend_from_slice(&self.variable_text(SUBSEP));
            }
            key.extend_from_slice(&value.bytes(&self.variable_text(CONVFMT)));
        }
        Ok(key)
    }

    fn field_number(&mut self, number: &Expression) -> Result<usize, Stop> {
        let number = self.evaluate(number)?.number();
        match number {
            _ if number < 0.0 => Err(Stop::Fatal(format!("negative field index ${number}"))),
            _ if number > 100_000.0 || number.is_nan() => Err(Refusal::new("an awk record of so many fields").into()),
            _ => Ok(number as usize),
        }
    }

    fn value_at(&mut self, place: &Place) -> Result<Value, Stop> {
        match place {
            Place::Variable(variable) => {
                if *variable == Variable::Global(NF) {
                    self.split_record()?;
                }
                Ok(self.cell(*variable).value.clone())
            }
            Place::Element(variable, key) => {
                let key = self.key(key)?;
                let array = self.cell(*variable).array;
                // Looking at an element makes it.
                self.process.world.spend_bytes(key.len() as u64)?;
                Ok(self.arrays[array].entry(key).or_default().clone())
            }
            Place::Field(number) => {
                let number = self.field_number(number)?;
                self.field(number)
            }
        }
    }

    pub(super) fn set_value_at(&mut self, place: &Place, value: Value) -> Result<(), Stop> {
        match place {
            Place::Variable(variable) => self.set_variable(*variable, value),
            Place::Element(variable, key) => {
                let key = self.key(key)?;
                let array = self.cell(*variable).array;
                self.process.world.spend_bytes(key.len() as u64)?;
                self.arrays[array].insert(key, value);
                Ok(())
            }
            Place::Field(number) => {
                let number = self.field_number(number)?;
                self.set_field(number, value)
            }
        }
    }

    pub(super) fn text_of(&mut self, expression: &Expression) -> Result<Rc<[u8]>, Stop> {
        let value = self.evaluate(expression)?;
        Ok(value.bytes(&self.variable_text(CONVFMT)))
    }

    /// Whether `text` matches what stands where a pattern may: `/…/`, or a text.
    pub(super) fn matches(&mut self, text: &[u8], pattern: &Expression) -> Result<bool, Stop> {
        let program = self.program;
        if let Expression::Regex(number) = pattern {
            return Ok(program.patterns[*number].is_match(text)?);
        }
        let pattern = self.text_of(pattern)?;
        Ok(self.dynamic_pattern(&pattern)?.is_match(text)?)
    }

    pub(super) fn evaluate(&mut self, expression: &Expression) -> Result<Value, Stop> {
        self.process.step()?;
        Ok(match expression {
            Expression::Number(number) => Value::Number(*number),
            Expression::Text(text) => Value::text(text),
            Expression::Regex(_) => {
                let record = self.field(0)?.bytes(b"");
                Value::truth(self.matches(&record, expression)?)
            }
            Expression::Value(place) => self.value_at(place)?,
            Expression::Assign(operator, place, value) => {
                let mut value = self.evaluate(value)?;
                if let Some(operator) = operator {
                    let old = self.value_at(place)?.number();
                    value = Value::Number(arithmetic(operator, old, value.number())?);
                }
                self.set_value_at(place, value.clone())?;
                value
            }
            Expression::Step(step, new_counts, place) => {
                let old = self.value_at(place)?.number();
                self.set_value_at(place, Value::Number(old + step))?;
                Value::Number(if *new_counts { old + step } else { old })
            }
            Expression::Choice(condition, then, other) => match self.evaluate(condition)?.is_true() {
                true => self.evaluate(then)?,
                false => self.evaluate(other)?,
            },
            Expression::And(left, right) => {
                Value::truth(self.evaluate(left)?.is_true() && self.evaluate(right)?.is_true())
            }
            Expression::Or(left, right) => {
                Value::truth(self.evaluate(left)?.is_true() || self.evaluate(right)?.is_true())
            }
            Expression::Not(inner) => Value::truth(!self.evaluate(inner)?.is_true()),
            Expression::Negative(inner) => Value::Number(-self.evaluate(inner)?.number()),
            Expression::Plus(inner) => Value::Number(self.evaluate(inner)?.number()),
            Expression::In(key, array) => {
                let key = self.key(key)?;
                Value::truth(self.arrays[self.cell(*array).array].contains_key(&key))
            }
            Expression::Match(is, text, pattern) => {
                let text = self.text_of(text)?;
                Value::truth(self.matches(&text, pattern)? == *is)
            }
            Expression::Arithmetic(operator, left, right) => {
                let (left, right) = (self.evaluate(left)?.number(), self.evaluate(right)?.number());
                Value::Number(arithmetic(operator, left, right)?)
            }
            Expression::Compare(operator, left, right) => {
                let (left, right) = (self.evaluate(left)?, self.evaluate(right)?);
                let order = left.compare(&right, &self.variable_text(CONVFMT));
                Value::truth(match *operator {
                    "<" => order.is_some_and(|order| order.is_lt()),
                    "<=" => order.is_some_and(|order| order.is_le()),
                    "==" => order.is_some_and(|order| order.is_eq()),
                    "!=" => order.is_none_or(|order| order.is_ne()),
                    ">" => order.is_some_and(|order| order.is_gt()),
                    _ => order.is_some_and(|order| order.is_ge()),
                })
            }
            Expression::Join(left, right) => {
                let left = self.text_of(left)?;
                let right = self.text_of(right)?;
                self.process.world.spend_bytes((left.len() + right.len()) as u64)?;
                Value::text(&[&*left, &*right].concat())
            }
            Expression::Call(number, arguments) => self.call(*number, arguments)?,
            Expression::Builtin(name, arguments) => self.builtin(name, arguments)?,
            Expression::Getline(source, place) => self.getline(source, place.as_deref())?,
            Expression::Group(_) => return Err(Stop::Fatal("syntax error: a list where one value must be".to_owned())),
        })
    }

    fn call(&mut self, number: usize, arguments: &[Expression]) -> Result<Value, Stop> {
        let program = self.program;
        let function = &program.functions[number];
        if arguments.len() > function.parameters.len() {
            return Err(Stop::Fatal(format!("too many arguments in call to {}", function.name)));
        }
        if self.frames.len() >= CALLS_MAX {
            return Err(Refusal::new("awk functions that call each other so deeply").into());
        }
        let fresh = self.arrays.len();
        let mut frame = Vec::with_capacity(function.parameters.len());
        for argument in arguments {
            // A bare name is both: its value, and the array that it may be.
            let cell = match argument {
                Expression::Value(Place::Variable(variable)) if *variable != Variable::Global(NF) => {
                    self.cell(*variable).clone()
                }
                _ => {
                    let value = self.evaluate(argument)?;
                    self.arrays.push(super::run::Array::new());
                    Cell { value, array: self.arrays.len() - 1 }
                }
            };
            frame.push(cell);
        }
        while frame.len() < function.parameters.len() {
            self.arrays.push(super::run::Array::new());
            frame.push(Cell { value: Value::Unset, array: self.arrays.len() - 1 });
        }
        self.frames.push(frame);
        let flow = self.body_of(&function.body);
        self.frames.pop();
        self.arrays.truncate(fresh);
        match flow? {
            Flow::Return(value) => Ok(value),
            _ => Ok(Value::Unset),
        }
    }

    fn getline(&mut self, source: &Source, place: Option<&Place>) -> Result<Value, Stop> {
        let text = match source {
            Source::Main => self.next_main_text()?,
            Source::File(name) | Source::Command(name) => {
                let name = self.text_of(name)?;
                let name = String::from_utf8_lossy(&name).into_owned();
                let separator = self.record_separator()?;
                let reader = match source {
                    Source::File(_) => self.streams.file(self.process, &name)?,
                    _ => self.streams.command(self.process, &name)?,
                };
                let Some(reader) = reader else { return Ok(Value::Number(-1.0)) };
                let text = reader.next(&separator)?;
                if text.is_some() && matches!(source, Source::Command(_)) {
                    let count = self.globals[NR].value.number() + 1.0;
                    self.globals[NR].value = Value::Number(count);
                }
                text
            }
        };
        let Some(text) = text else { return Ok(Value::Number(0.0)) };
        match place {
            Some(place) => self.set_value_at(place, Value::input(&text))?,
            None => self.set_record(text.into()),
        }
        Ok(Value::Number(1.0))
    }
}

fn arithmetic(operator: &str, left: f64, right: f64) -> Result<f64, Stop> {
    Ok(match operator {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        // mawk goes on with infinity, gawk does not.
        "/" | "%" if right == 0.0 => return Err(Refusal::new("awk divides by zero").into()),
        "/" => left / right,
        "%" => left % right,
        _ => left.powf(right),
    })
}
