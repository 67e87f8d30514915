//! The tables that say what recipe, image and board files may contain.
//!
//! One table serves the parser ([`super::document`]), the JSON Schema ([`super::json_schema`]) and the did-you-mean, so the
//! three cannot disagree.

mod fleet;
mod packages;
mod hardware;
mod noun;

use super::kinds::{
    ARCHITECTURE, DROP_IN, FIELD, Kind, LINE, MEMBER, MODE, NAME, PACKAGE, PARAM, PATH, PATTERN, QUESTION, REASON,
    SIZE, SOURCE, SYSCTL, TEXT, UNIT, USER, WHEN, WORDS,
};

use crate::artifact::EMBEDDED_KEYS;
pub(super) use fleet::CLUSTER;
pub(super) use hardware::BOARD;
use packages::{OWN_ARCHIVE, PACKAGE_ENTRY, SUITE};

/// A TOML table with known keys.
#[derive(Debug)]
pub(super) struct Object {
    /// What it is, for messages: `a [[file]] entry`.
    pub(super) name: &'static str,
    /// Its keys, in groups that several objects share.
    pub(super) keys: &'static [&'static [Key]],
}

impl Object {
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.keys.iter().flat_map(|group| group.iter())
    }
}

/// One key of an [`Object`].
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) need: Need,
    pub(super) doc: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
}

/// What a value may be.
#[derive(Debug)]
pub(super) enum Shape {
    Text(&'static Kind),
    /// A whole number within these bounds, both included.
    Integer(i64, i64),
    Boolean,
    Choice(&'static [&'static str]),
    List(&'static Shape),
    Table(&'static Object),
    /// A table whose keys are names, not keywords.
    Named(&'static Kind, &'static Shape),
    /// A short form and a long form.
    Either(&'static Shape, &'static Shape),
    /// A parameter's value, which its declaration types.
    Value,
}

const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key { name, shape, need: Need::Required, doc }
}

const fn optional(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key { name, shape, need: Need::Optional, doc }
}

const WHEN_KEY: Key = optional("when", Shape::Text(&WHEN), "The entry counts only if this is true; see templates.");
const REPLACE_KEY: Key =
    optional("replace", Shape::Boolean, "Take the place of an earlier recipe's entry of the same name.");
const OWNER_KEY: Key = optional("owner", Shape::Text(&USER), "Owner's name; `root` without.");
const GROUP_KEY: Key = optional("group", Shape::Text(&USER), "Group's name; `root` without.");
const PATH_KEY: Key = required("path", Shape::Text(&PATH), "Where, from the root.");

/// Of these, exactly one.
pub(super) const CONTENT_KEYS: [&str; 4] = ["content", "source", "template", "template-source"];
static CONTENT: [Key; 4] = [
    optional("content", Shape::Text(&TEXT), "The bytes, verbatim."),
    optional("source", Shape::Text(&SOURCE), "A file beside this one, verbatim."),
    optional("template", Shape::Text(&TEXT), "A minijinja template."),
    optional("template-source", Shape::Text(&SOURCE), "A file beside this one that is a minijinja template."),
];

static FILE: Object = Object {
    name: "a [[file]] entry",
    keys: &[
        &[PATH_KEY, optional("mode", Shape::Text(&MODE), "Permission bits; `0644` without."), OWNER_KEY, GROUP_KEY],
        &CONTENT,
        &[WHEN_KEY, REPLACE_KEY],
    ],
};

static INSTALL: Object = Object {
    name: "an [[artifact.install]] entry",
    keys: &[&[
        optional(
            "member",
            Shape::Text(&MEMBER),
            "Its path in the archive; a template. None when the artifact is the file.",
        ),
        PATH_KEY,
        optional("mode", Shape::Text(&MODE), "Permission bits; `0755` without."),
        OWNER_KEY,
        GROUP_KEY,
    ]],
};

static ARTIFACT: Object = Object {
    name: "an [[artifact]] entry",
    keys: &[&[
        required("name", Shape::Text(&NAME), "Its name: in the lock, and in `--input NAME=PATH`."),
        required("version", Shape::Text(&LINE), "Its version; a template. The others see it as `artifact.version`."),
        optional("url", Shape::Text(&LINE), "Where it is released; a template. Without, it is fed by `--input`."),
        optional("mirror", Shape::Text(&NAME), "Name in `[mirrors]`, whose URL takes the place of scheme and host."),
        optional(
            "arch",
            Shape::Named(&ARCHITECTURE, &Shape::Text(&LINE)),
            "What `artifact.arch` is, by architecture; any other has no build. Without, Debian's own names.",
        ),
        optional(
            "unavailable",
            Shape::Named(&ARCHITECTURE, &Shape::Text(&REASON)),
            "Why there is no build, by architecture, for people.",
        ),
        required(
            "verify",
            Shape::Choice(&["openpgp", "sha256sums", "sha256"]),
            "Who vouches for it: a signed checksum file, an unsigned one, or this recipe's `sha256`.",
        ),
        optional("checksums", Shape::Text(&LINE), "URL of the checksum file; a template."),
        optional("signature", Shape::Text(&LINE), "URL of the checksum file's OpenPGP signature; a template."),
        optional("key", Shape::Choice(&EMBEDDED_KEYS), "Whose signature: a key that hah-image carries."),
        optional("key-source", Shape::Text(&SOURCE), "Whose signature: an OpenPGP key beside this file."),
        optional("sha256", Shape::Text(&LINE), "Its digest, with `verify = \"sha256\"`; a template."),
        optional(
            "format",
            Shape::Choice(&["file", "zip", "tar.gz"]),
            "`file` is the program itself; guessed from the URL without.",
        ),
        required("install", Shape::List(&Shape::Table(&INSTALL)), "What of it goes where."),
        WHEN_KEY,
        REPLACE_KEY,
    ]],
};

static DIRECTORY: Object = Object {
    name: "a [[directory]] entry",
    keys: &[&[
        PATH_KEY,
        optional("mode", Shape::Text(&MODE), "Permission bits; `0755` without."),
        OWNER_KEY,
        GROUP_KEY,
        WHEN_KEY,
        REPLACE_KEY,
    ]],
};

static SYMLINK: Object = Object {
    name: "a [[symlink]] entry",
    keys: &[&[
        PATH_KEY,
        required("target", Shape::Text(&LINE), "What the link holds; a template."),
        WHEN_KEY,
        REPLACE_KEY,
    ]],
};

static REMOVE: Object = Object {
    name: "a removal",
    keys: &[&[
        required("pattern", Shape::Text(&PATTERN), "Paths of packages to leave out."),
        optional("except", Shape::List(&Shape::Text(&PATTERN)), "Which of them stay."),
        WHEN_KEY,
    ]],
};

static USER_ENTRY: Object = Object {
    name: "a [[user]] entry",
    keys: &[&[
        required("name", Shape::Text(&USER), "Login name."),
        required("uid", Shape::Integer(1, 59_999), "The id: declared, so that it is the same in every image."),
        required("group", Shape::Text(&USER), "Primary group."),
        optional("groups", Shape::List(&Shape::Text(&USER)), "Supplementary groups."),
        optional("home", Shape::Text(&PATH), "Home directory; `/nonexistent` without."),
        optional("create-home", Shape::Boolean, "Make the home directory with copies of /etc/skel."),
        optional("shell", Shape::Text(&PATH), "Login shell; `/usr/sbin/nologin` without."),
        optional("comment", Shape::Text(&LINE), "Full name."),
        optional(
            "password-hash",
            Shape::Text(&LINE),
            "A crypt(5) hash; a template. Without or empty, no password logs in.",
        ),
        WHEN_KEY,
    ]],
};

static GROUP_ENTRY: Object = Object {
    name: "a [[group]] entry",
    keys: &[&[
        required("name", Shape::Text(&USER), "Group name."),
        required("gid", Shape::Integer(1, 59_999), "The id: declared, so that it is the same in every image."),
        WHEN_KEY,
    ]],
};

static DROP_IN_ENTRY: Object = Object {
    name: "a [[unit.drop-in]] entry",
    keys: &[&[required("name", Shape::Text(&DROP_IN), "Its file name below UNIT.d/.")], &CONTENT, &[WHEN_KEY]],
};

static UNIT_ENTRY: Object = Object {
    name: "a [[unit]] entry",
    keys: &[
        &[
            required("name", Shape::Text(&UNIT), "The unit's name."),
            optional(
                "state",
                Shape::Choice(&["enabled", "disabled", "masked"]),
                "What becomes of it; without, presets and packages decide.",
            ),
        ],
        &CONTENT,
        &[
            optional("drop-in", Shape::List(&Shape::Table(&DROP_IN_ENTRY)), "Files that amend the unit."),
            WHEN_KEY,
            REPLACE_KEY,
        ],
    ],
};

static NOMAD_JOB: Object = Object {
    name: "a [[nomad-job]] entry",
    keys: &[
        &[required("name", Shape::Text(&NAME), "Its file name below /usr/share/hah/jobs.")],
        &CONTENT,
        &[WHEN_KEY, REPLACE_KEY],
    ],
};

static SYSCTL_ENTRY: Object = Object {
    name: "a [[sysctl]] entry",
    keys: &[&[
        required("name", Shape::Text(&SYSCTL), "The variable."),
        required("value", Shape::Text(&LINE), "Its value; a template."),
        WHEN_KEY,
        REPLACE_KEY,
    ]],
};

static CMDLINE_ENTRY: Object = Object {
    name: "a kernel command line entry",
    keys: &[&[required("word", Shape::Text(&LINE), "One word of the kernel command line; a template."), WHEN_KEY]],
};

static KERNEL: Object = Object {
    name: "[kernel]",
    keys: &[&[optional(
        "cmdline",
        Shape::List(&Shape::Either(&Shape::Text(&WORDS), &Shape::Table(&CMDLINE_ENTRY))),
        "Words to add to the kernel command line.",
    )]],
};

/// The types of parameters.
pub(super) const PARAM_TYPES: [&str; 9] =
    ["string", "integer", "boolean", "enum", "list", "port", "path", "size", "duration"];

/// What the text of a parameter may be, by rules that no pattern can say.
pub(super) const PARAM_FORMATS: [&str; 4] = ["host", "join", "name-server", "url"];

static PARAM_ENTRY: Object = Object {
    name: "a parameter",
    keys: &[&[
        required("type", Shape::Choice(&PARAM_TYPES), "Its type."),
        required("doc", Shape::Text(&LINE), "What it is for, in one line."),
        optional("default", Shape::Value, "Its value unless the image gives one; without, the image must."),
        optional("min", Shape::Value, "Least value, or least number of items of a list."),
        optional("max", Shape::Value, "Greatest value, or greatest number of items of a list."),
        optional("choices", Shape::List(&Shape::Text(&LINE)), "The values of an `enum`."),
        optional("pattern", Shape::Text(&LINE), "A regular expression that the whole string, or every item, matches."),
        optional(
            "format",
            Shape::Choice(&PARAM_FORMATS),
            "What the string, or every item, is besides: the address or name of a `host`, whom to `join`, a `name-server`, the `url` of an API.",
        ),
    ]],
};

static SCRIPT_ENTRY: Object = Object {
    name: "a [[script]] entry",
    keys: &[&[
        required("package", Shape::Text(&PACKAGE), "The package."),
        required("kind", Shape::Choice(&["preinst", "config", "postinst"]), "Which of its scripts."),
        required(
            "action",
            Shape::Choice(&["skip", "first-boot"]),
            "`first-boot`: the node runs it, once, before its services start. `skip`: nobody does.",
        ),
        required("reason", Shape::Text(&REASON), "Why; it is named wherever the image is described."),
    ]],
};

static IDS: Object = Object {
    name: "[ids]",
    keys: &[&[
        optional("users", Shape::Named(&USER, &Shape::Integer(100, 59_999)), "User ids by name."),
        optional("groups", Shape::Named(&USER, &Shape::Integer(100, 59_999)), "Group ids by name."),
    ]],
};

static BODY: [Key; 20] = [
    optional(
        "packages",
        Shape::List(&Shape::Either(&Shape::Text(&PACKAGE), &Shape::Table(&PACKAGE_ENTRY))),
        "Packages to install, with what they depend on.",
    ),
    optional(
        "provides",
        Shape::Named(&PACKAGE, &Shape::Text(&REASON)),
        "Packages that others depend on and that the image can do without, each with the reason.",
    ),
    optional("suite", Shape::List(&Shape::Table(&SUITE)), "Where packages come from. Components of one suite add up."),
    optional("archive", Shape::List(&Shape::Table(&OWN_ARCHIVE)), "Archives that are not Debian's."),
    optional("artifact", Shape::List(&Shape::Table(&ARTIFACT)), "Programs from release sites, and own builds."),
    optional("file", Shape::List(&Shape::Table(&FILE)), "Files to write."),
    optional("directory", Shape::List(&Shape::Table(&DIRECTORY)), "Directories to make."),
    optional("symlink", Shape::List(&Shape::Table(&SYMLINK)), "Symbolic links to make."),
    optional(
        "remove",
        Shape::List(&Shape::Either(&Shape::Text(&PATTERN), &Shape::Table(&REMOVE))),
        "Paths of packages to leave out.",
    ),
    optional("user", Shape::List(&Shape::Table(&USER_ENTRY)), "User accounts."),
    optional("group", Shape::List(&Shape::Table(&GROUP_ENTRY)), "Groups."),
    optional("unit", Shape::List(&Shape::Table(&UNIT_ENTRY)), "systemd units: their state, text and drop-ins."),
    optional(
        "nomad-job",
        Shape::List(&Shape::Table(&NOMAD_JOB)),
        "Nomad jobs in HCL: NAME.nomad.hcl, and NAME.json for `PUT /v1/jobs` unless only Nomad itself can parse the job.",
    ),
    optional("sysctl", Shape::List(&Shape::Table(&SYSCTL_ENTRY)), "Kernel variables to set at boot."),
    optional("kernel", Shape::Table(&KERNEL), "The kernel command line."),
    optional(
        "script",
        Shape::List(&Shape::Table(&SCRIPT_ENTRY)),
        "Maintainer scripts that a build cannot evaluate, and what becomes of them.",
    ),
    optional("persist", Shape::List(&Shape::Text(&PATH)), "Directories of the root that outlive a reboot."),
    optional("os-release", Shape::Named(&FIELD, &Shape::Text(&LINE)), "Fields to add to /etc/os-release."),
    optional(
        "debconf",
        Shape::Named(&QUESTION, &Shape::Value),
        "Answers to questions that packages ask, `\"package/question\" = VALUE`, typed by the package's template; texts are templates.",
    ),
    optional("ids", Shape::Table(&IDS), "Ids of users and groups that packages add and that have none in our table."),
];

/// `recipes/NAME.toml`.
pub(super) static RECIPE: Object = Object {
    name: "a recipe",
    keys: &[
        &[
            required("summary", Shape::Text(&LINE), "What it adds to a node, in one line."),
            optional("requires", Shape::List(&Shape::Text(&NAME)), "Recipes that come with it, and before it."),
            optional("params", Shape::Named(&NAME, &Shape::Table(&PARAM_ENTRY)), "Its parameters."),
        ],
        &BODY,
    ],
};

static SIZES: Object = Object {
    name: "[sizes]",
    keys: &[&[optional("boot", Shape::Text(&SIZE), "The boot partition; `256 MiB` without.")]],
};

/// `images/NAME.toml`.
pub(super) static IMAGE: Object = Object {
    name: "an image",
    keys: &[
        &[
            required("summary", Shape::Text(&LINE), "What the node is for, in one line."),
            required("board", Shape::Text(&NAME), "The board: a file of recipes/boards/."),
            required("recipes", Shape::List(&Shape::Text(&NAME)), "The recipes, in the order in which they apply."),
            optional(
                "params",
                Shape::Named(&PARAM, &Shape::Named(&NAME, &Shape::Value)),
                "`RECIPE.PARAMETER = VALUE`.",
            ),
            optional("table", Shape::Choice(&["mbr", "gpt"]), "The partition table, where the board allows another."),
            optional("sizes", Shape::Table(&SIZES), "Partition sizes."),
            optional("hostname-prefix", Shape::Text(&NAME), "Nodes without identity are PREFIX-SERIAL; `hah` without."),
        ],
        &BODY,
    ],
};
