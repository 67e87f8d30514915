//! test(1) and `[`: POSIX's rules by the number of arguments, and coreutils' operators.

use super::decimal;
use crate::commands::{Process, Refusal};

/// `[ … ]`.
pub(super) fn bracket(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    match args.split_last() {
        Some((last, words)) if last == "]" => test(process, words),
        _ => super::syntax_error(process, "missing ‘]’"),
    }
}

/// test(1): `-b -c -d -e -f -g -h -k -L -N -O -G -p -r -s -S -t -u -w -x -n -z`, `= == != -eq -ne -lt -le -gt -ge
/// -nt -ot -ef`, `! -a -o ( )`.
pub(super) fn test(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match by_count(process, &words)? {
        Ok(holds) => Ok(u8::from(!holds)),
        Err(what) => super::syntax_error(process, &what),
    }
}

type Answer = Result<Result<bool, String>, Refusal>;

const BINARY: [&str; 15] =
    ["=", "==", "!=", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef", "<", ">", "=~"];

fn by_count(process: &Process<'_, '_>, words: &[&str]) -> Answer {
    match words {
        [] => Ok(Ok(false)),
        [one] => Ok(Ok(!one.is_empty())),
        ["!", one] => Ok(Ok(one.is_empty())),
        [operator, operand] => match is_unary(operator) {
            true => unary(process, operator, operand),
            false => Ok(Err(format!("{operator}: unary operator expected"))),
        },
        [left, operator, right] if BINARY.contains(operator) => binary(process, left, operator, right),
        [left, "-a", right] => Ok(Ok(!left.is_empty() && !right.is_empty())),
        [left, "-o", right] => Ok(Ok(!left.is_empty() || !right.is_empty())),
        ["!", rest @ ..] if rest.len() <= 3 => Ok(by_count(process, rest)?.map(|holds| !holds)),
        ["(", one, ")"] => by_count(process, &[one]),
        ["(", left, right, ")"] => by_count(process, &[left, right]),
        [_, operator, _] => Ok(Err(format!("{operator}: binary operator expected"))),
        words => {
            let mut parser = Parser { process, words, at: 0 };
            let answer = parser.either()?;
            Ok(match (answer, words.get(parser.at)) {
                (Ok(_), Some(word)) => Err(format!("extra argument ‘{word}’")),
                (answer, _) => answer,
            })
        }
    }
}

fn is_unary(operator: &str) -> bool {
    operator.len() == 2 && operator.starts_with('-') && "bcdefghkLNOGprsStuwxnz".contains(&operator[1..])
}

fn unary(process: &Process<'_, '_>, operator: &str, operand: &str) -> Answer {
    match operator {
        "-n" => return Ok(Ok(!operand.is_empty())),
        "-z" => return Ok(Ok(operand.is_empty())),
        // Nothing is a terminal.
        "-t" => return Ok(Ok(false)),
        _ => {}
    }
    let found = if matches!(operator, "-h" | "-L") { process.lstat(operand) } else { process.stat(operand) };
    let Ok(stat) = found else { return Ok(Ok(false)) };
    match operator {
        "-N" => process.unknown("-N"),
        _ => Ok(Ok(stat.answers(operator))),
    }
}

fn binary(process: &Process<'_, '_>, left: &str, operator: &str, right: &str) -> Answer {
    Ok(Ok(match operator {
        "=" | "==" => left == right,
        "!=" => left != right,
        "-nt" | "-ot" | "-ef" => {
            let (left, right) = (process.stat(left).ok(), process.stat(right).ok());
            match (operator, left, right) {
                ("-ef", Some(left), Some(right)) => process.world.is_same_file(&left.path, &right.path),
                ("-nt", Some(left), Some(right)) => left.meta.mtime > right.meta.mtime,
                ("-ot", Some(left), Some(right)) => left.meta.mtime < right.meta.mtime,
                ("-nt", Some(_), None) | ("-ot", None, Some(_)) => true,
                _ => false,
            }
        }
        "=~" | "<" | ">" => return process.unknown(operator),
        _ => {
            let number = |text: &str| decimal(text.trim().strip_prefix('+').unwrap_or(text.trim()));
            let (Some(left_number), Some(right_number)) = (number(left), number(right)) else {
                let wrong = if number(left).is_none() { left } else { right };
                return Ok(Err(format!("invalid integer ‘{wrong}’")));
            };
            let order = left_number.cmp(&right_number);
            match operator {
                "-eq" => order.is_eq(),
                "-ne" => order.is_ne(),
                "-lt" => order.is_lt(),
                "-le" => order.is_le(),
                "-gt" => order.is_gt(),
                _ => order.is_ge(),
            }
        }
    }))
}

struct Parser<'a, 'p, 'w> {
    process: &'a Process<'p, 'w>,
    words: &'a [&'a str],
    at: usize,
}

impl Parser<'_, '_, '_> {
    fn either(&mut self) -> Answer {
        let mut left = self.both()?;
        while self.words.get(self.at) == Some(&"-o") {
            self.at += 1;
            let right = self.both()?;
            left = left.and_then(|left| right.map(|right| left || right));
        }
        Ok(left)
    }

    fn both(&mut self) -> Answer {
        let mut left = self.single()?;
        while self.words.get(self.at) == Some(&"-a") {
            self.at += 1;
            let right = self.single()?;
            left = left.and_then(|left| right.map(|right| left && right));
        }
        Ok(left)
    }

    fn single(&mut self) -> Answer {
        let rest = &self.words[self.at.min(self.words.len())..];
        match rest {
            [] => Ok(Err("missing argument".to_owned())),
            ["!", ..] => {
                self.at += 1;
                Ok(self.single()?.map(|holds| !holds))
            }
            [left, operator, right, ..] if BINARY.contains(operator) => {
                self.at += 3;
                binary(self.process, left, operator, right)
            }
            ["(", ..] => {
                self.at += 1;
                if self.at > 500 {
                    return Err(Refusal::new("a condition that long"));
                }
                let inner = self.either()?;
                if self.words.get(self.at) != Some(&")") {
                    return Ok(Err("‘)’ expected".to_owned()));
                }
                self.at += 1;
                Ok(inner)
            }
            [operator, operand, ..] if is_unary(operator) => {
                self.at += 2;
                unary(self.process, operator, operand)
            }
            [one, ..] => {
                self.at += 1;
                Ok(Ok(!one.is_empty()))
            }
        }
    }
}
