//! Each row is a command line. The real program runs it in a directory of its own and ours in a tree that holds the same:
//! standard output, exit status and all files must be the same afterwards.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "the real programs are the oracles")]

mod oracle;
mod files;
mod paths;
mod text;
mod grep;
mod sed;
mod find;
mod awk;
mod others;
