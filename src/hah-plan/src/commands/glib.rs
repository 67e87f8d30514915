//! What the tools of GLib, GTK and their relatives make of the files of a directory.

pub(super) mod hash_table;
