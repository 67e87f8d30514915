//! What Consul and Nomad answer to the rollout: whatever is in Consul's KV, a lock that is not understood is somebody's.

#![no_main]
#![allow(
    dead_code,
    unused_imports,
    reason = "the agent's modules, compiled in from their source, have more than this asks for"
)]

#[path = "../../../src/hah-agent/src/rollout/reply.rs"]
mod answers;
#[path = "../../../src/hah-agent/src/closing/judge.rs"]
mod judge;
#[path = "../../../src/hah-agent/src/closing/reply.rs"]
mod reply;
#[path = "../../../src/hah-agent/src/rollout/view.rs"]
mod seen;
#[path = "../../../src/hah-agent/src/closing/view.rs"]
mod view;

/// Where the agent has them.
mod closing {
    pub(crate) use crate::{judge, reply};
}
mod rollout {
    pub(crate) use crate::seen as view;
}

use hah_node::rollout::{Errand, Lock, Order, Status};
use seen::Holder;

libfuzzer_sys::fuzz_target!(|answer: &[u8]| {
    if let Ok(board) = answers::board(answer) {
        let found = board.wishes.len() + board.bad.len() + usize::from(board.stop.is_some());
        assert!(found <= board.version.1);
        if let Holder::Node(_, lock) = &board.lock {
            let written = serde_json::to_vec(lock).unwrap();
            assert_eq!(serde_json::from_slice::<Lock>(&written).unwrap(), *lock);
        }
        if let Some(stop) = &board.stop {
            assert!(!stop.contains('\n'));
        }
    }
    let _ = answers::myself(answer);
    let _ = answers::tolerance(answer);
    let _ = answers::maintenance(answer);
    let _ = answers::placed(answer);
    let _ = answers::placing(answer);
    let _ = answers::well(answer);
    let _ = answers::another_voter(answer);
    let _ = serde_json::from_slice::<Errand>(answer);
    let _ = serde_json::from_slice::<Order>(answer);
    let _ = serde_json::from_slice::<Status>(answer);
});
