use super::*;
use crate::contents::InlineOnly;

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

fn world() -> World<'static> {
    let mut tree = Root::new();
    tree.insert(path("usr/bin/tool"), Node::file(0o755, Content::inline(*b"tool"))).unwrap();
    tree.insert(path("bin"), Node::symlink("usr/bin")).unwrap();
    tree.insert(path("etc/self"), Node::symlink("self")).unwrap();
    tree.insert(path("dev"), Node::dir(0o755)).unwrap();
    World::new(tree, Provenance::default(), &InlineOnly, 1_700_000_000)
}

#[test]
fn paths_lead_as_in_the_kernel() {
    let mut world = world();
    let (top, etc) = (TreePath::root(), path("etc"));
    assert_eq!(world.resolve(&top, "/bin/tool", Follow::No), Ok(path("usr/bin/tool")));
    assert_eq!(world.resolve(&etc, "../bin/../lib", Follow::No), Ok(path("usr/lib")));
    assert_eq!(world.read(&etc, "/bin/tool"), Ok(b"tool".to_vec()));
    assert_eq!(world.read(&etc, "self"), Err(Errno::Loop));
    assert_eq!(world.read(&etc, "/usr"), Err(Errno::IsADirectory));
    assert_eq!(world.read(&etc, "/bin/tool/"), Err(Errno::NotADirectory));
    assert_eq!(world.read(&etc, "/none/x"), Err(Errno::NotFound));
    assert_eq!(world.write(&etc, "/none/x", 0o644, Vec::new()), Err(Errno::NotFound));
    assert_eq!(world.write(&etc, "/dev/null", 0o644, b"x".to_vec()), Ok(()));
    assert_eq!(world.read(&etc, "/dev/urandom"), Err(Errno::Random));
}

#[test]
fn every_name_of_a_file_sees_its_changes_and_outlives_the_others() {
    let mut world = world();
    let top = TreePath::root();
    world.make_hard_link(&top, "/bin/tool", "/bin/a").unwrap();
    world.make_hard_link(&top, "/bin/a", "/bin/b").unwrap();
    assert_eq!(world.stat(&top, "/bin/b", Follow::No).unwrap().links, 3);
    world.write(&top, "/bin/b", 0o600, b"new".to_vec()).unwrap();
    world.set_mode(&top, "/bin/a", 0o700).unwrap();
    assert_eq!(world.read(&top, "/bin/tool"), Ok(b"new".to_vec()));
    world.unlink(&top, "/bin/tool").unwrap();
    assert_eq!(world.read(&top, "/bin/b"), Ok(b"new".to_vec()));
    assert_eq!(world.stat(&top, "/bin/b", Follow::No).unwrap().meta.mode, 0o700);
    world.rename(&top, "/usr", "/opt").unwrap();
    assert_eq!(world.read(&top, "/opt/bin/b"), Ok(b"new".to_vec()));
    assert_eq!(world.stat(&top, "/opt/bin/a", Follow::No).unwrap().links, 2);
    assert!(!world.exists(&top, "/usr"));
}

#[test]
fn what_a_recipe_placed_stays() {
    let mut world = world();
    let top = TreePath::root();
    world.provenance.claim(path("usr/bin/tool"), Origin::Recipe("base".into()));
    world.write(&top, "/bin/tool", 0o644, b"other".to_vec()).unwrap();
    world.remove_all(&top, "/usr").unwrap();
    assert_eq!(world.read(&top, "/bin/tool"), Ok(b"tool".to_vec()));
    assert_eq!(world.kept.len(), 1);
}
