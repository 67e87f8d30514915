//! Generations: closures, boot pointers, what goes over the wire, and what a node says. A closure has one spelling; a
//! pointer that is found can be changed in place, and nothing else changes with it; frames come as they went.

#![no_main]

use std::collections::BTreeSet;

use hah_node::generation::closure::{self, CHUNK_MAX};
use hah_node::generation::pointer::{self, Pointer, SECTOR};
use hah_node::generation::state::{Generations, Staged};
use hah_node::generation::transfer::{self, Kind};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    closure_of(bytes);
    for (_, before) in pointer::FILES {
        pointer_in(bytes, before);
    }
    frames(bytes);
    if let Ok(told) = serde_json::from_slice::<Generations>(bytes) {
        let written = serde_json::to_vec(&told).unwrap();
        assert_eq!(serde_json::from_slice::<Generations>(&written).unwrap(), told);
    }
    if let Ok(staged) = serde_json::from_slice::<Staged>(bytes) {
        let written = serde_json::to_vec(&staged).unwrap();
        assert_eq!(serde_json::from_slice::<Staged>(&written).unwrap(), staged);
    }
});

fn closure_of(bytes: &[u8]) {
    let closure = match closure::parse(bytes) {
        Ok(closure) => closure,
        Err(error) => return hah_fuzz::says_something(&error, "build it again"),
    };
    assert_eq!(closure.encode().unwrap(), bytes);
    let distinct = closure.distinct();
    let digests: BTreeSet<_> = distinct.iter().map(|chunk| chunk.0).collect();
    assert_eq!(digests.len(), distinct.len());
    let all = closure.root.iter().chain(closure.boot.iter().flat_map(|file| &file.chunks));
    for chunk in all {
        assert!((1..=CHUNK_MAX).contains(&chunk.1) && digests.contains(&chunk.0));
    }
    assert!(closure.root_bytes().checked_add(closure.boot_bytes()).is_some());
    for file in &closure.boot {
        assert!(!file.name.contains(['/', '\\', '\0']) && file.name != "." && file.name != "..");
    }
}

fn pointer_in(bytes: &[u8], before: &str) {
    match pointer::find(bytes, before) {
        Ok((found, place)) => {
            let mut changed = bytes.to_vec();
            place.put(found, &mut changed);
            assert_eq!(changed, bytes, "what was there");
            let slot = hah_node::generation::Slot::new(b'z').unwrap();
            for wanted in [found.settled(), found.trying(slot), Pointer::keeping(slot)] {
                place.put(wanted, &mut changed);
                assert_eq!(pointer::find(&changed, before).unwrap().0, wanted);
                let others = changed.iter().zip(bytes).enumerate().filter(|(_, (new, old))| new != old);
                assert!(others.map(|(at, _)| at).all(|at| at < SECTOR));
            }
        }
        Err(error) => hah_fuzz::says_something(&error, "flash it again"),
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(equipped) = pointer::equip(text, before)
    {
        let (found, _) = pointer::find(equipped.as_bytes(), before).unwrap();
        assert_eq!(found, Pointer::keeping(hah_node::generation::Slot::FLASHED));
    }
}

fn frames(bytes: &[u8]) {
    let (mut stream, mut content, mut written) = (bytes, Vec::new(), Vec::new());
    while let Ok(kind) = transfer::receive(&mut stream, &mut content) {
        transfer::send(&mut written, kind, &content).unwrap();
        if kind == Kind::Missing
            && let Some(indices) = transfer::decode_missing(&content, 1000)
        {
            assert!(indices.iter().all(|index| *index < 1000));
            assert_eq!(transfer::encode_missing(&indices), content);
        }
        if kind == Kind::Progress
            && let Some((done, all)) = transfer::decode_progress(&content)
        {
            assert_eq!(transfer::encode_progress(done, all).as_slice(), content);
        }
    }
    assert!(bytes.starts_with(&written));
}
