use crate::commands::playground::{Entry, Playground, real};

const LOADERS: &str = "usr/lib/aarch64-linux-gnu/gdk-pixbuf-2.0/2.10.0/loaders";

#[test]
fn loaders_are_listed_as_gdk_pixbuf_query_loaders_lists_them() {
    let tool = "/usr/lib/x86_64-linux-gnu/gdk-pixbuf-2.0/gdk-pixbuf-query-loaders";
    let Some(theirs) = real(&[tool], &[]) else { return };
    let theirs = String::from_utf8(theirs.stdout).unwrap();
    let mut seen = 0;
    for block in theirs.split("\n\n").filter(|block| block.contains("libpixbufloader-")) {
        let line = block.lines().position(|line| line.starts_with('"')).unwrap();
        let mut lines = block.lines().skip(line);
        let name = lines.next().unwrap().trim_matches('"').rsplit('/').next().unwrap().to_owned();
        let wanted: Vec<&str> = lines.collect();
        let at = format!("{LOADERS}/{name}");
        let mut ours = Playground::of(&[(&at, Entry::File(0o644, ""))]);
        let (status, said, _) = ours.said(&["gdk-pixbuf-query-loaders", &format!("/{at}")]);
        let got: Vec<&str> =
            said.lines().filter(|line| !line.starts_with("# ") && *line != "#" && !line.is_empty()).collect();
        assert!(said.ends_with("\n\n\n") == theirs.ends_with("\n\n\n"), "{said}");
        assert_eq!((status, got[0], &got[1..]), (0, format!("\"/{at}\"").as_str(), &wanted[..]));
        seen += 1;
    }
    assert!(seen > 5, "{theirs}");
}

#[test]
fn caches_are_written_and_an_unknown_plugin_is_refused_by_name() {
    let gio = "usr/lib/aarch64-linux-gnu/gio/modules";
    let gtk = "usr/lib/aarch64-linux-gnu/gtk-3.0/3.0.0";
    let tree = [
        (&*format!("{LOADERS}/libpixbufloader_svg.so"), Entry::File(0o644, "")),
        (&*format!("{gio}/libgiognutls.so"), Entry::File(0o644, "")),
        (&*format!("{gio}/libim-ibus.so"), Entry::File(0o644, "")),
        (&*format!("{gio}/notes"), Entry::File(0o644, "")),
        (&*format!("{gtk}/immodules/im-xim.so"), Entry::File(0o644, "")),
    ];
    let mut ours = Playground::of(&tree);
    assert_eq!(ours.run(&["gio-querymodules", &format!("/{gio}")]).status, 0);
    assert_eq!(ours.text(&format!("{gio}/giomodule.cache")).unwrap(), "libgiognutls.so: gio-tls-backend\n");
    assert_eq!(ours.run(&["gdk-pixbuf-query-loaders", "--update-cache"]).status, 0);
    let cache = ours.text("usr/lib/aarch64-linux-gnu/gdk-pixbuf-2.0/2.10.0/loaders.cache").unwrap();
    assert!(cache.contains(&format!("\"/{LOADERS}/libpixbufloader_svg.so\"\n\"svg\" 6 ")), "{cache}");
    assert_eq!(ours.run(&["gtk-query-immodules-3.0", "--update-cache"]).status, 0);
    let cache = ours.text(&format!("{gtk}/immodules.cache")).unwrap();
    assert!(cache.contains("im-xim.so\" \n\"xim\" \"X Input Method\" \"gtk30\""), "{cache}");

    let mut ours = Playground::of(&[(&*format!("{gio}/libmine.so"), Entry::File(0o644, ""))]);
    let refusal = ours.try_run(&["gio-querymodules", &format!("/{gio}")], "").unwrap_err();
    assert!(refusal.what.contains("libmine.so") && refusal.program.is_some(), "{refusal}");
}
