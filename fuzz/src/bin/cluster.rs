//! `cluster.toml`: loading is a function, every diagnostic can be drawn, and what is accepted gives every node an identity
//! that the node accepts and reads back the same.

#![no_main]

use hah_node::identity::Identity;
use hah_plan::cluster::Secrets;
use hah_plan::recipe::load_cluster;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Some(cluster) = hah_fuzz::load_twice(|| load_cluster("cluster.toml", text)) else { return };
    for name in cluster.nodes.keys() {
        let identity = cluster.identity(name, &Secrets::default()).unwrap();
        assert_eq!(identity.flaw(), None);
        let written = serde_json::to_vec(&identity).unwrap();
        assert_eq!(serde_json::from_slice::<Identity>(&written).unwrap(), identity);
    }
});
