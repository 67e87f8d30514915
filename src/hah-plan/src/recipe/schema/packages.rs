//! Packages, suites and archives.

use super::{Key, LINE, NAME, Object, PACKAGE, SOURCE, Shape, WHEN_KEY, optional, required};

pub(super) static PACKAGE_ENTRY: Object = Object {
    name: "a package",
    keys: &[&[
        required("name", Shape::Text(&PACKAGE), "Package name."),
        optional(
            "suite",
            Shape::Text(&LINE),
            "Take it from this suite and no other, with the dependencies that only this suite satisfies.",
        ),
        optional(
            "recommends",
            Shape::Boolean,
            "Also install what it recommends, and what the packages that are here only for it recommend, as apt does.",
        ),
        WHEN_KEY,
    ]],
};

/// A board's packages depend on no parameter.
pub(super) static BOARD_PACKAGE: Object = Object {
    name: "a package",
    keys: &[&[
        required("name", Shape::Text(&PACKAGE), "Package name."),
        required(
            "suite",
            Shape::Text(&LINE),
            "Take it from this suite and no other, with the dependencies that only this suite satisfies.",
        ),
    ]],
};

pub(super) static OWN_ARCHIVE: Object = Object {
    name: "an [[archive]] entry",
    keys: &[&[
        required("name", Shape::Text(&NAME), "What it is called here; its suites are `NAME/SUITE` in `packages`."),
        required("uris", Shape::List(&Shape::Text(&LINE)), "Where it is, the most wanted first: http, https or file."),
        required(
            "suites",
            Shape::List(&Shape::Text(&LINE)),
            "Its suites; one that ends in `/` is flat: `./` for an archive that is all in one directory.",
        ),
        optional("components", Shape::List(&Shape::Text(&LINE)), "Its components; none for flat suites."),
        required(
            "key",
            Shape::Text(&SOURCE),
            "File below the directory of this file with the archive's OpenPGP key, armoured or not. It counts for this archive alone, and no other key does.",
        ),
        optional(
            "architectures",
            Shape::List(&Shape::Choice(&["arm64", "armel", "armhf", "amd64"])),
            "The architectures that it has, if not all: images of others do without.",
        ),
        optional(
            "expired",
            Shape::Choice(&["refuse", "allow"]),
            "What to do when its Valid-Until has passed; `refuse`.",
        ),
        optional(
            "use",
            Shape::Choice(&["default", "pin-only"]),
            "`pin-only`: only for packages that name one of its suites, so that nothing else comes from it.",
        ),
        WHEN_KEY,
    ]],
};

/// The keys of a suite, for recipes and boards.
static SUITE_KEYS: &[Key] = &[
    required("name", Shape::Text(&LINE), "The suite's name below `dists/`."),
    optional("archive", Shape::Choice(&["debian", "debian-security"]), "The archive; `debian` without."),
    optional("components", Shape::List(&Shape::Text(&LINE)), "Its components; `main` without."),
    optional("expired", Shape::Choice(&["refuse", "allow"]), "What to do when its Valid-Until has passed; `refuse`."),
    optional("use", Shape::Choice(&["default", "pin-only"]), "`pin-only`: only for packages that name this suite."),
];

pub(super) static SUITE: Object = Object { name: "a [[suite]] entry", keys: &[SUITE_KEYS, &[WHEN_KEY]] };

/// A board's suites depend on no parameter.
pub(super) static BOARD_SUITE: Object = Object { name: "a [[suite]] entry", keys: &[SUITE_KEYS] };
