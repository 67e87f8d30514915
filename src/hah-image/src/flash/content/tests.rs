//! Row by row what people hand to `flash`: disks, packed disks, and what is none.

use std::io::Write as _;

use hah_format::disk::{Geometry, GptPartition, Identity, Layout, Table, encode};

use super::super::source::Map;
use super::*;
use crate::advice::{Advised as _, Exit, chain};

const MIB: u64 = 1 << 20;

/// A disk with our geometry: the boot partition's label says whose it is.
fn disk_of(table: Table, label: &[u8; 11]) -> Vec<u8> {
    let geometry = Geometry { table, align_sectors: 2048, boot_start: 8192, boot_bytes: 4 * MIB, root_bytes: 5000 };
    let layout = Layout::new(&geometry).unwrap();
    let partition =
        |guid, name| GptPartition { type_guid: "0FC63DAF-8483-4772-8E79-3D69D8477DE4", guid, name, attributes: 0 };
    let identity = match table {
        Table::Mbr => Identity::Mbr { signature: 7, types: [0x0c, 0x83] },
        Table::Gpt => Identity::Gpt { disk: 8, partitions: [partition(9, "boot"), partition(10, "root")] },
    };
    let mut disk = vec![0; layout.size_bytes() as usize];
    let mut put = |offset: usize, bytes: &[u8]| disk[offset..offset + bytes.len()].copy_from_slice(bytes);
    for region in encode(&layout, &identity).unwrap() {
        put(region.offset as usize, &region.bytes);
    }
    put((4 * MIB) as usize + 71, label);
    put((4 * MIB) as usize + 82, b"FAT32   ");
    disk
}

fn ours(table: Table) -> Vec<u8> {
    disk_of(table, b"HAH-BOOT   ")
}

fn theirs() -> Vec<u8> {
    disk_of(Table::Mbr, b"bootfs     ")
}

/// Looks at a file with these bytes.
fn look(bytes: &[u8], strangers: Strangers) -> Result<Content, FlashError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("thing.img");
    std::fs::write(&path, bytes).unwrap();
    Content::look(&Image::open(&path, &Map::None)?, strangers)
}

/// That a file with these bytes is refused in these words, whatever is allowed.
#[track_caller]
fn is_refused(bytes: &[u8], says: &[&str]) {
    let failure = look(bytes, Strangers::Allowed).map(|content| content.origin).unwrap_err();
    let text = format!("{}; {}", chain(&failure), failure.hint().unwrap());
    for wanted in says {
        assert!(text.contains(wanted), "`{wanted}` is not in: {text}");
    }
    assert_eq!(failure.exit(), Exit::User, "{text}");
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A zip archive, by APPNOTE.TXT: stored or deflated members.
pub(super) fn zip(files: &[(&str, &[u8])], is_deflated: bool) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut records = Vec::new();
    for (name, bytes) in files {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        let packed = if is_deflated {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        } else {
            bytes.to_vec()
        };
        let mut fields = vec![20, 0, 0, 0, if is_deflated { 8 } else { 0 }, 0, 0, 0, 0, 0];
        for number in [crc.sum(), packed.len() as u32, bytes.len() as u32] {
            fields.extend(number.to_le_bytes());
        }
        fields.extend((name.len() as u16).to_le_bytes());
        fields.extend([0, 0]);
        records.extend(b"PK\x01\x02\x14\x00");
        records.extend(&fields);
        records.extend([0; 10]);
        records.extend((archive.len() as u32).to_le_bytes());
        records.extend(name.as_bytes());
        archive.extend(b"PK\x03\x04");
        archive.extend(&fields);
        archive.extend(name.as_bytes());
        archive.extend(packed);
    }
    let start = archive.len() as u32;
    archive.extend(&records);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend([(files.len() as u16).to_le_bytes(); 2].concat());
    archive.extend((records.len() as u32).to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0, 0]);
    archive
}

#[test]
fn our_images_are_known_in_every_packing() {
    for table in [Table::Mbr, Table::Gpt] {
        let disk = ours(table);
        let packed = [
            disk.clone(),
            xz(&disk),
            gzip(&disk),
            bzip2(&disk),
            zstd::encode_all(&disk[..], 1).unwrap(),
            zip(&[("notes.txt", b"read me"), ("lab.img", &disk)], true),
            zip(&[("lab.img", &disk)], false),
        ];
        for bytes in packed {
            let content = look(&bytes, Strangers::Refused).unwrap();
            assert_eq!((content.origin(), content.end()), (Origin::Ours, 8 * MIB + 5120));
        }
    }
}

#[test]
fn a_stranger_s_image_is_flashed_only_when_said_so() {
    for disk in [theirs(), xz(&theirs()), disk_of(Table::Gpt, b"PI4-A      "), disk_of(Table::Mbr, b"HAH-BOOT-2 ")] {
        let failure = look(&disk, Strangers::Refused).unwrap_err();
        assert!(matches!(failure, FlashError::Stranger(_)), "{failure}");
        assert!(failure.hint().unwrap().contains("--foreign"));
        assert_eq!(look(&disk, Strangers::Allowed).unwrap().origin(), Origin::Foreign);
    }
}

#[test]
fn a_node_needs_room_for_its_data_and_a_stranger_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.img");
    for (disk, tail) in [(ours(Table::Mbr), Some(0)), (ours(Table::Gpt), Some(33 * 512)), (theirs(), None)] {
        std::fs::write(&path, &disk).unwrap();
        let image = Image::open(&path, &Map::None).unwrap();
        let needs = Content::look(&image, Strangers::Allowed).unwrap().needs(&image);
        assert_eq!(needs.image, Some(disk.len() as u64));
        // The root ends in the ninth MiB, and data begins with the tenth.
        assert_eq!(needs.with_data, tail.map(|tail| (9 + 32) * MIB + tail));
    }
}

#[test]
fn what_is_no_disk_is_named_and_refused() {
    let block = |start: &[u8]| [start, &vec![0xc5; 2 << 20][start.len()..]].concat();
    let at = |offset: usize, magic: &[u8]| {
        let mut bytes = vec![0; 2 << 20];
        bytes[offset..offset + magic.len()].copy_from_slice(magic);
        bytes
    };
    is_refused(
        &block(b"QFI\xfb\0\0\0\x03"),
        &["is a QEMU disk (qcow2)", "qemu-img convert -O raw ", "thing.img NEW.img"],
    );
    is_refused(&block(b"vhdxfile"), &["is a Hyper-V disk (vhdx)", "qemu-img convert"]);
    is_refused(&block(b"KDMV"), &["is a VMware disk (vmdk)", "qemu-img convert"]);
    is_refused(&at(0x40, b"\x7f\x10\xda\xbe"), &["is a VirtualBox disk (vdi)", "qemu-img convert"]);
    is_refused(&block(b"\x3a\xff\x26\xed"), &["Android sparse image", "simg2img"]);
    is_refused(&block(b"7z\xbc\xaf\x27\x1c"), &["is a 7z archive", "unpack it"]);
    is_refused(&block(b"Rar!\x1a\x07\x01"), &["is a RAR archive", "unpack it"]);
    is_refused(&at(257, b"ustar"), &["is a tar archive", "unpack it"]);
    is_refused(&block(b"\x04\x22\x4d\x18"), &["packed by lz4", "unpack it"]);
    is_refused(&at(0x8001, b"CD001"), &["ISO 9660", "partition table"]);
    is_refused(&at(0x438, b"\x53\xef"), &["ext4 file system without a partition table"]);
    is_refused(&block(b"hsqs"), &["squashfs file system without a partition table"]);
    is_refused(&block(b"\x7fELF\x02"), &["is a program (ELF)"]);
    is_refused(b"#!/bin/sh\nexit 1\n", &["is a script"]);
    is_refused("Grüße\n".repeat(500).as_bytes(), &["is a text"]);
    is_refused(b"\n<!DOCTYPE html><title>404</title>", &["is a web page", "load the image again"]);
    is_refused(b"<?xml version=\"1.0\" ?>\n<bmap version=\"2.0\">", &["an XML text, such as a block map"]);
    is_refused(&[0; 2 << 20], &["nothing but zeros"]);
    is_refused(&[0xc5; 700], &["is no disk image", "it has 700 bytes"]);
    is_refused(&[0xc5; 2 << 20], &["is no disk image", "sector 0 does not end with 55 AA"]);
}

/// A file system's boot sector ends as a partition table does.
#[test]
fn a_fat_without_a_partition_table_is_no_disk() {
    let mut fat = vec![0; 2 << 20];
    fat[82..90].copy_from_slice(b"FAT32   ");
    fat[510..512].copy_from_slice(&[0x55, 0xaa]);
    is_refused(&fat, &["is a FAT file system without a partition table"]);
    // Boot code where a table would be.
    fat[446..510].fill(0x90);
    is_refused(&fat, &["is a FAT file system without a partition table"]);
}

/// The disk itself is plain there, and what is behind it says that it is not only that.
#[test]
fn a_fixed_vhd_and_a_dmg_are_known_by_their_ends() {
    for (magic, says) in [(&b"conectix"[..], "a Hyper-V disk (vhd)"), (b"koly", "an Apple disk image (dmg)")] {
        let mut disk = theirs();
        disk.extend(magic);
        disk.resize(disk.len() + 512 - magic.len(), 0);
        is_refused(&disk, &[says, "qemu-img convert"]);
    }
}

#[test]
fn an_archive_whose_content_is_no_disk_is_refused() {
    let mut tar = vec![0; 2 << 20];
    tar[257..262].copy_from_slice(b"ustar");
    is_refused(&gzip(&tar), &["what is packed in", "is a tar archive"]);
    is_refused(&xz(b"just a text\n"), &["what is packed in", "is a text"]);
    is_refused(&bzip2(&xz(&theirs())), &["packed once more, by xz"]);
    is_refused(&xz(&[0xc5; 3 << 20]), &["what is packed in", "is no disk image"]);
    is_refused(&zstd::encode_all(&b""[..], 1).unwrap(), &["is no disk image"]);
    // Cut off in the part that is looked at.
    let noise: Vec<u8> = (0..3u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let packed = xz(&[theirs()[..512].to_vec(), noise].concat());
    is_refused(&packed[..packed.len() / 2], &["cannot be unpacked", "load it again"]);
}

#[test]
fn a_zip_has_one_image_or_says_what_it_has() {
    let disk = theirs();
    is_refused(&zip(&[("a.txt", b"a"), ("b.img", b"no disk")], true), &["none of the files", "a.txt, b.img"]);
    is_refused(&zip(&[("one.img", &disk), ("two.img", &disk)], true), &["more than one image", "one.img, two.img"]);
    is_refused(
        &zip(&[("raspios.img.xz", &xz(&disk))], false),
        &["none of the files", "raspios.img.xz", "packed twice"],
    );
    is_refused(&zip(&[], true), &["is an empty zip archive"]);
    let archive = zip(&[("one.img", &disk)], true);
    is_refused(&archive[..archive.len() - 30], &["this is not a zip archive", "unpack it"]);
}

/// The archive's checksum is the only one that a stranger's image has.
#[test]
fn a_damaged_member_of_a_zip_is_not_believed() {
    let mut archive = zip(&[("one.img", &theirs())], false);
    archive[(6 * MIB) as usize] ^= 1;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.zip");
    std::fs::write(&path, archive).unwrap();
    let image = Image::open(&path, &Map::None).unwrap();
    let size = image.size().unwrap();
    let error = image.head(size as usize).unwrap_err();
    assert!(error.to_string().contains("the checksum of a file is wrong"), "{error}");
}

#[test]
fn a_disk_that_is_cut_off_or_damaged_is_refused() {
    let disk = ours(Table::Mbr);
    is_refused(&disk[..(6 * MIB) as usize], &["no whole disk image", "partition 1", "load it again"]);
    let mut disk = ours(Table::Gpt);
    disk[1024] ^= 1;
    is_refused(&disk, &["no whole disk image", "the checksum of its entries is wrong"]);
    let gpt = ours(Table::Gpt);
    let mut other = vec![0; gpt.len()];
    other[..512].copy_from_slice(&gpt[..512]);
    other[4096..4608].copy_from_slice(&gpt[512..1024]);
    is_refused(&other, &["counts in sectors of 4096 bytes"]);
}
