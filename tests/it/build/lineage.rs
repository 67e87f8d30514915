//! A card is recognised by its image's lineage: what a build changes does not change the disk's id, so that every
//! generation finds the card; another cluster, image, board or table has another id.

use std::process::Command;

use super::{judge, partition};
use crate::archive::project::{BOARD, IMAGE, RECIPE, Toy};
use crate::oracles;

const CLUSTER: &str = "name = \"NAME\"\n[nodes.one]\nimage = \"toy\"\nconsul = \"server\"\n";

/// What a foreign program reads in the partition table of an image.
fn disk_id(toy: &Toy, name: &str) -> String {
    let image = toy.path(&format!("project/out/{name}.img"));
    judge(Command::new("sfdisk").arg("--disk-id").arg(image)).trim().trim_start_matches("0x").to_lowercase()
}

#[test]
fn no_second_generation_could_find_its_own_card() {
    if ["sfdisk", "unsquashfs"].into_iter().any(oracles::is_missing) {
        return;
    }
    let toy = Toy::new();
    let first = toy.build();
    let id = disk_id(&toy, "toy");
    toy.write("project/recipes/toy.toml", RECIPE.replace("default = \"hello\"", "default = \"goodbye\""));
    toy.write("agent", crate::archive::elf::program(b"I am another agent"));
    assert_ne!(toy.build(), first);
    assert_eq!(disk_id(&toy, "toy"), id, "the next generation of the image is at home on the same card");
    // fstab, which the running system believes, says the same: the first partition's GUID is the disk's with its number.
    let root = toy.path("root.squashfs");
    partition(&toy.image(), "root", &root);
    let fstab = judge(Command::new("unsquashfs").arg("-cat").arg(&root).arg("etc/fstab"));
    let guid = u128::from_str_radix(&id.replace('-', ""), 16).unwrap() ^ 1;
    let digits = format!("{guid:032x}");
    let partuuid = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-");
    assert!(fstab.contains(&format!("PARTUUID={partuuid} /boot/firmware")), "{fstab}");
}

#[test]
fn cards_of_two_projects_do_not_collide() {
    if oracles::is_missing("sfdisk") {
        return;
    }
    let toy = Toy::new();
    toy.build();
    let mut ids = vec![disk_id(&toy, "toy")];
    for name in ["home", "work"] {
        toy.write("project/cluster.toml", CLUSTER.replace("NAME", name));
        toy.build();
        ids.push(disk_id(&toy, "toy"));
    }
    // Whatever else the cluster says is not the lineage.
    toy.write("project/cluster.toml", CLUSTER.replace("NAME", "work").replace("nodes.one", "nodes.other"));
    toy.build();
    assert_eq!(disk_id(&toy, "toy"), ids[2]);
    toy.write("project/images/toy2.toml", IMAGE);
    toy.run(&["build", "toy2"]).succeeded();
    ids.push(disk_id(&toy, "toy2"));
    toy.write("project/recipes/boards/toy.toml", BOARD.replace("default = \"gpt\"", "default = \"mbr\""));
    toy.run(&["build", "toy2"]).succeeded();
    ids.push(disk_id(&toy, "toy2"));
    let different: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(different.len(), ids.len(), "{ids:?}");
}
