//! What the tools of GLib, GTK and their relatives make of the files of a directory.
//!
//! | module | command | makes |
//! |---|---|---|
//! | `schemas` | `glib-compile-schemas` | `gschemas.compiled`: settings, their types and defaults |
//! | `modules` | `gio-querymodules`, `gdk-pixbuf-query-loaders`, `gtk-query-immodules-*` | lists of what plugins offer |
//!
//! `gvdb` writes GLib's file of tables, `variant` its typed values, and `hash_table` keeps the order in which the
//! programs walk theirs.

pub(super) mod hash_table;
mod variant;
mod gvdb;
mod schemas;
mod modules;

use super::Command;

pub(super) const COMMANDS: &[Command] = &[
    Command::in_tree("glib-compile-schemas", schemas::glib_compile_schemas),
    Command::in_tree("gio-querymodules", modules::gio_querymodules),
    Command::in_tree("gdk-pixbuf-query-loaders", modules::gdk_pixbuf_query_loaders),
    Command::in_tree("gtk-query-immodules-2.0", modules::gtk_query_immodules),
    Command::in_tree("gtk-query-immodules-3.0", modules::gtk_query_immodules),
];
