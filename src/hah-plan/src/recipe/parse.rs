//! From a conforming document to [`Recipe`] and [`Image`].

use std::sync::Arc;

use hah_format::path::TreePath;

use super::document::{Fields, Item, Value, parse};
use super::model::{
    Access, Assignment, Beside, Body, Content, Directory, DropIn, Entry, File, Group, Image, NomadJob, Package, Recipe,
    Remove, Replace, Script, Symlink, Sysctl, Template, Unit, User,
};
use super::params;
use super::problem::{Located, Place, Problem, Report, Text};
use super::schema::{CONTENT_KEYS, IMAGE, Need, RECIPE};
use super::sources::Sources;
use super::template;
use super::units::ByteSize;
use crate::board::Table;
use crate::debian::PackageName;
use crate::line_ends;
use crate::scripts::{ScriptAction, ScriptKind};
use crate::system::{Home, UnitState};

/// Size of the boot partition unless an image says otherwise: firmware, the rescue copy and ten generations of a gzipped
/// kernel, an initramfs and device trees (about 18 MiB each).
const BOOT_BYTES: u64 = 256 << 20;
/// FAT32 needs 65,525 clusters of at least 512 bytes.
const BOOT_BYTES_MIN: u64 = 64 << 20;
/// No kernel is that large; a typing error is.
const BOOT_BYTES_MAX: u64 = 32 << 30;

/// What every part of parsing needs: the files, the directory of the file at hand, and the report.
pub(super) struct Parser<'a> {
    pub(super) sources: &'a Sources,
    pub(super) directory: &'static str,
    pub(super) report: &'a mut Report,
}

impl Parser<'_> {
    /// `recipes/NAME.toml`. `None` when it is not even TOML.
    pub(super) fn recipe(&mut self, name: &str, text: &Arc<Text>) -> Option<Recipe> {
        let mut fields = parse(text, &RECIPE, self.report)?;
        Some(Recipe {
            name: name.to_owned(),
            summary: fields.text("summary").map(|text| text.value).unwrap_or_default(),
            requires: fields.texts("requires"),
            params: params::declarations(fields.named("params"), self.report),
            body: self.body(&mut fields),
        })
    }

    /// `images/NAME.toml`. `None` when it is not even TOML.
    pub(super) fn image(&mut self, name: &str, text: &Arc<Text>) -> Option<Image> {
        let mut fields = parse(text, &IMAGE, self.report)?;
        let mut settings = Vec::new();
        for (recipe, table) in fields.named("params") {
            let named = table.fields().into_named().into_iter();
            settings.extend(named.map(|(param, value)| Assignment { recipe: recipe.clone(), param, value }));
        }
        Some(Image {
            name: name.to_owned(),
            summary: fields.text("summary").map(|text| text.value).unwrap_or_default(),
            board: fields.text("board"),
            recipes: fields.texts("recipes"),
            settings,
            table: fields.parsed::<Table>("table", self.report),
            boot_bytes: self.boot_bytes(&mut fields),
            hostname_prefix: fields.text("hostname-prefix").map_or_else(|| "hah".to_owned(), |text| text.value),
            body: self.body(&mut fields),
        })
    }

    fn boot_bytes(&mut self, fields: &mut Fields) -> u64 {
        let Some(size) = fields.table("sizes").parsed::<ByteSize>("boot", self.report) else { return BOOT_BYTES };
        if !(BOOT_BYTES_MIN..=BOOT_BYTES_MAX).contains(&size.value.0) {
            let [got, min, max] =
                [size.value, ByteSize(BOOT_BYTES_MIN), ByteSize(BOOT_BYTES_MAX)].map(|s| s.to_string());
            self.report.at(&size.place, Problem::OutOfRange { key: "boot".to_owned(), got, min, max });
        }
        size.value.0
    }

    fn body(&mut self, fields: &mut Fields) -> Body {
        let mut body = Body::default();
        for item in fields.list("packages") {
            body.packages.extend(self.package(item));
        }
        for (name, reason) in fields.named("provides") {
            let (Some(name), Some(reason)) = (name.parse("", self.report), reason.text()) else { continue };
            body.provides.push(plain(name.map(|name| (name, reason.value))));
        }
        for item in fields.list("suite") {
            body.suites.extend(self.suite(item.fields()));
        }
        for item in fields.list("archive") {
            body.archives.extend(self.archive(item.fields()));
        }
        for item in fields.list("artifact") {
            body.artifacts.extend(self.artifact(item.fields()));
        }
        for item in fields.list("file") {
            body.files.extend(self.file(item.fields()));
        }
        for item in fields.list("directory") {
            body.directories.extend(self.directory(item.fields()));
        }
        for item in fields.list("symlink") {
            body.symlinks.extend(self.symlink(item.fields()));
        }
        for item in fields.list("remove") {
            body.removes.extend(self.remove(item));
        }
        for item in fields.list("user") {
            body.users.extend(self.user(item.fields()));
        }
        for item in fields.list("group") {
            body.groups.extend(self.group(item.fields()));
        }
        for item in fields.list("unit") {
            body.units.extend(self.unit(item.fields()));
        }
        for item in fields.list("nomad-job") {
            body.nomad_jobs.extend(self.nomad_job(item.fields()));
        }
        for item in fields.list("sysctl") {
            body.sysctl.extend(self.sysctl(item.fields()));
        }
        for item in fields.table("kernel").list("cmdline") {
            body.cmdline.extend(self.word(item));
        }
        for item in fields.list("script") {
            body.scripts.extend(self.script(item.fields()));
        }
        for path in fields.texts("persist") {
            body.persist.extend(path.parse::<TreePath>("", self.report).and_then(|path| self.visible(path)).map(plain));
        }
        for (name, value) in fields.named("os-release") {
            let Some(value) = value.text() else { continue };
            body.os_release.push(plain(name.map(|name| (name, value.value))));
        }
        self.answers(fields, &mut body);
        body
    }

    fn package(&mut self, item: Item) -> Option<Entry<Package>> {
        if let Value::Text(_) = item.value {
            let name = item.text()?.parse("", self.report)?;
            return Some(plain(name.map(|name| Package { name, suite: None, recommends: false })));
        }
        let mut fields = item.fields();
        let name = fields.parsed("name", self.report);
        let suite = fields.text("suite");
        let recommends = fields.is_true("recommends");
        let name: Located<_> = name?;
        Some(self.entry(name.map(|name| Package { name, suite, recommends }), fields))
    }

    fn file(&mut self, mut fields: Fields) -> Option<Entry<File>> {
        let content = self.content(("a [[file]] entry", Need::Required), &mut fields);
        let access = self.access(0o644, &mut fields);
        let path = self.path(&mut fields);
        let (path, access, content) = (path?, access?, content?);
        let place = path.place;
        Some(self.entry(Located { value: File { path: path.value, access, content }, place }, fields))
    }

    fn directory(&mut self, mut fields: Fields) -> Option<Entry<Directory>> {
        let access = self.access(0o755, &mut fields);
        let (path, access) = (self.path(&mut fields)?, access?);
        Some(self.entry(path.map(|path| Directory { path, access }), fields))
    }

    fn symlink(&mut self, mut fields: Fields) -> Option<Entry<Symlink>> {
        let target = fields.text("target").map(|text| self.template(text));
        let (path, target) = (self.path(&mut fields)?, target?);
        Some(self.entry(path.map(|path| Symlink { path, target }), fields))
    }

    fn remove(&mut self, item: Item) -> Option<Entry<Remove>> {
        if let Value::Text(_) = item.value {
            let pattern = item.text()?.parse("", self.report)?;
            return Some(plain(pattern.map(|pattern| Remove { pattern, except: Vec::new() })));
        }
        let mut fields = item.fields();
        let pattern: Option<Located<_>> = fields.parsed("pattern", self.report);
        let except = fields.texts("except").into_iter();
        let except: Vec<_> = except.filter_map(|text| text.parse("", self.report)).map(|found| found.value).collect();
        let pattern = pattern?;
        Some(self.entry(pattern.map(|pattern| Remove { pattern, except }), fields))
    }

    fn user(&mut self, mut fields: Fields) -> Option<Entry<User>> {
        let home = fields.parsed::<TreePath>("home", self.report).map(|home| home.value);
        let create = fields.is_true("create-home");
        let password_hash = fields.text("password-hash").map(|text| self.template(text));
        let (name, uid, group) = (fields.text("name")?, fields.integer("uid")?, fields.text("group")?);
        let mut groups: Vec<_> = fields.texts("groups").into_iter().map(|text| text.value).collect();
        groups.sort();
        groups.dedup();
        let text = |found: Option<Located<String>>, default: &str| found.map_or(default.to_owned(), |text| text.value);
        let (shell, comment) = (fields.text("shell"), fields.text("comment"));
        // Colons separate the fields of passwd(5); commas those of GECOS, where they are welcome.
        for text in [&shell, &comment].into_iter().flatten().filter(|text| text.value.contains(':')) {
            let reason = format!("`{}` contains a colon, which passwd(5) cannot hold", text.value);
            self.report.at(&text.place, Problem::Invalid { reason, hint: "" });
        }
        let user = User {
            name: name.value.clone(),
            uid: u32::try_from(uid.value).ok()?,
            group: group.value,
            groups,
            home: home.or_else(|| TreePath::parse("nonexistent").ok())?,
            home_kind: if create { Home::Created } else { Home::Absent },
            shell: text(shell, "/usr/sbin/nologin"),
            comment: text(comment, ""),
            password_hash,
        };
        Some(self.entry(name.map(|_| user), fields))
    }

    fn group(&mut self, mut fields: Fields) -> Option<Entry<Group>> {
        let (name, gid) = (fields.text("name")?, fields.integer("gid")?);
        let gid = u32::try_from(gid.value).ok()?;
        Some(self.entry(name.map(|name| Group { name, gid }), fields))
    }

    fn unit(&mut self, mut fields: Fields) -> Option<Entry<Unit>> {
        let content = self.content(("a [[unit]] entry", Need::Optional), &mut fields).map(text_content);
        let states = [
            ("", None),
            ("enabled", Some(UnitState::Enabled)),
            ("disabled", Some(UnitState::Disabled)),
            ("masked", Some(UnitState::Masked)),
        ];
        let state = fields.choice("state", &states)?;
        let drop_ins: Vec<_> =
            fields.list("drop-in").into_iter().filter_map(|item| self.drop_in(item.fields())).collect();
        let name = fields.text("name")?;
        if state == Some(UnitState::Masked) && (content.is_some() || !drop_ins.is_empty()) {
            let reason = format!("`{}` is masked, so its text is never read", name.value);
            self.report.at(&name.place, Problem::Invalid { reason, hint: "drop the text, or the mask" });
        }
        Some(self.entry(name.map(|name| Unit { name, state, content, drop_ins }), fields))
    }

    fn drop_in(&mut self, mut fields: Fields) -> Option<Entry<DropIn>> {
        let content = self.content(("a [[unit.drop-in]] entry", Need::Required), &mut fields).map(text_content);
        let name = fields.text("name");
        let (name, content) = (name?, content?);
        Some(self.entry(name.map(|name| DropIn { name, content }), fields))
    }

    fn nomad_job(&mut self, mut fields: Fields) -> Option<Entry<NomadJob>> {
        // Files that the job names are beside it, as for `nomad job run`.
        let file = ["source", "template-source"].into_iter().find_map(|key| fields.peek(key)?.rsplit_once('/'));
        let directory = file.map_or(self.directory.to_owned(), |(below, _)| format!("{}/{below}", self.directory));
        let beside = Beside { directory, sources: self.sources.clone() };
        let content = self.content(("a [[nomad-job]] entry", Need::Required), &mut fields).map(text_content);
        let (name, content) = (fields.text("name")?, content?);
        Some(self.entry(name.map(|name| NomadJob { name, content, beside }), fields))
    }

    fn script(&mut self, mut fields: Fields) -> Option<Entry<Script>> {
        let kind = fields.choice(
            "kind",
            &[("preinst", ScriptKind::Preinst), ("config", ScriptKind::Config), ("postinst", ScriptKind::Postinst)],
        )?;
        let action =
            fields.choice("action", &[("skip", ScriptAction::Skip), ("first-boot", ScriptAction::FirstBoot)])?;
        let (package, reason) = (fields.parsed("package", self.report), fields.text("reason"));
        let (package, reason): (Located<PackageName>, _) = (package?, reason?.value);
        Some(self.entry(package.map(|package| Script { package, kind, action, reason }), fields))
    }

    fn sysctl(&mut self, mut fields: Fields) -> Option<Entry<Sysctl>> {
        let value = fields.text("value").map(|text| self.template(text));
        let (name, value) = (fields.text("name")?, value?);
        Some(self.entry(name.map(|name| Sysctl { name, value }), fields))
    }

    fn word(&mut self, item: Item) -> Option<Entry<Template>> {
        if let Value::Text(_) = item.value {
            let text = item.text()?;
            let place = text.place.clone();
            let value = self.template(text);
            return Some(plain(Located { value, place }));
        }
        let mut fields = item.fields();
        let word = fields.text("word")?;
        let place = word.place.clone();
        let value = self.template(word);
        Some(self.entry(Located { value, place }, fields))
    }

    /// The keys that every entry has.
    pub(super) fn entry<T>(&mut self, value: Located<T>, mut fields: Fields) -> Entry<T> {
        let when = fields.text("when").map(literal);
        if let Some(when) = &when {
            template::check_expression(when, self.report);
        }
        let replace = if fields.is_true("replace") { Replace::Earlier } else { Replace::Refuse };
        Entry { value: value.value, place: value.place, when, replace }
    }

    pub(super) fn path(&mut self, fields: &mut Fields) -> Option<Located<TreePath>> {
        let path = fields.parsed("path", self.report)?;
        self.visible(path)
    }

    /// Refuses paths that no running node would show.
    fn visible(&mut self, path: Located<TreePath>) -> Option<Located<TreePath>> {
        let top = path.value.components().next().unwrap_or_default();
        let (reason, hint) = match top {
            "" => ("the root itself cannot be declared".to_owned(), ""),
            "bin" | "sbin" | "lib" | "lib64" => {
                (format!("`/{top}` is a link to `/usr/{top}`"), "write the path below /usr")
            }
            "dev" | "proc" | "run" | "sys" | "tmp" if path.value.parent().is_some_and(|parent| !parent.is_root()) => {
                (format!("`/{top}` is mounted over on a running node"), "a file of /etc/tmpfiles.d makes it at boot")
            }
            _ => return Some(path),
        };
        self.report.at(&path.place, Problem::Invalid { reason, hint });
        None
    }

    pub(super) fn access(&mut self, mode: u16, fields: &mut Fields) -> Option<Access> {
        let name = |found: Option<Located<String>>| found.map_or_else(|| "root".to_owned(), |text| text.value);
        let mode = match fields.text("mode") {
            Some(text) => u16::from_str_radix(&text.value, 8).ok()?,
            None => mode,
        };
        Some(Access { mode, owner: name(fields.text("owner")), group: name(fields.text("group")) })
    }

    /// One of [`CONTENT_KEYS`], or at most one.
    fn content(&mut self, (object, need): (&'static str, Need), fields: &mut Fields) -> Option<Content> {
        let present: Vec<&'static str> = CONTENT_KEYS.into_iter().filter(|key| fields.has(key)).collect();
        match present[..] {
            [] if need == Need::Required => self.report.at(&fields.place, Problem::NoContent { object }),
            [first, second, ..] => self.report.at(&fields.place, Problem::TwoContents { object, first, second }),
            _ => {}
        }
        let key = *present.first()?;
        let text = fields.text(key)?;
        match key {
            "content" => Some(Content::Verbatim(text.value.into_bytes())),
            "template" => Some(Content::Template(self.template(text))),
            "source" => Some(Content::Verbatim(self.source(&text)?.to_vec())),
            _ => {
                let bytes = self.source(&text)?;
                let path = format!("{}/{}", self.directory, text.value);
                let text = self.sources.text(&path, bytes, self.report)?;
                let (source, range) = (text.text.clone(), 0..text.text.len());
                let template = Template { source, place: Place { text, range }, offset: Some(0) };
                template::check(&template, self.report);
                Some(Content::Template(template))
            }
        }
    }

    pub(super) fn source(&mut self, text: &Located<String>) -> Option<Arc<[u8]>> {
        let relative: TreePath = text.clone().parse("", self.report)?.value;
        let path = format!("{}/{}", self.directory, relative.as_str());
        match self.sources.bytes(&path) {
            Some(bytes) => Some(bytes),
            None => {
                let near = self.sources.near(self.directory, relative.as_str());
                self.report.at(&text.place, Problem::NoSuchSource { path, near });
                None
            }
        }
    }

    pub(super) fn template(&mut self, text: Located<String>) -> Template {
        let template = literal(text);
        template::check(&template, self.report);
        template
    }
}

/// The content of a file that is text whatever it says: from beside, too, its line ends are as [`line_ends`] has them.
fn text_content(content: Content) -> Content {
    match content {
        Content::Verbatim(bytes) => Content::Verbatim(match String::from_utf8(bytes) {
            Ok(text) => line_ends::normalised(text).into_bytes(),
            Err(error) => error.into_bytes(),
        }),
        template @ Content::Template(_) => template,
    }
}

pub(super) fn plain<T>(value: Located<T>) -> Entry<T> {
    Entry { value: value.value, place: value.place, when: None, replace: Replace::Refuse }
}

/// A template that stands in a TOML string. Only where the string has no escapes do offsets carry over.
fn literal(text: Located<String>) -> Template {
    let raw = text.place.text.text.get(text.place.range.clone()).unwrap_or_default();
    let quote = ["'''", "\"\"\"", "'", "\""].into_iter().find(|quote| raw.starts_with(quote)).unwrap_or_default();
    let mut start = quote.len();
    if quote.len() == 3 {
        let rest = &raw[start..];
        start += if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with('\n')) };
    }
    let same = raw.get(start..).is_some_and(|rest| rest.starts_with(text.value.as_str()));
    let offset = same.then_some(text.place.range.start + start);
    Template { source: text.value, place: text.place, offset }
}
