//! The figures of a large cluster: how long it takes, and how many nodes are down at any moment.

use super::world::{Kind, Schedule};
use crate::rollout::pace::Jitter;
use crate::schedules::Coverage;

#[test]
fn a_hundred_nodes() {
    let names = (0..100).map(|number| format!("n{number}")).collect();
    let mut schedule = Schedule::with(Jitter(17), names, 3, [Kind::Good; 3]);
    schedule.calm = true;
    let mut seen = Coverage::default();
    let began = schedule.now;
    schedule.play(began + 60_000, &mut seen).unwrap();
    for node in 0..100 {
        schedule.stage(node, 1);
    }
    let staged = schedule.now;
    let mut clients_done = None;
    while schedule.remaining().0 + schedule.remaining().1 > 0 {
        schedule.play(schedule.now + 1_000, &mut seen).unwrap();
        let (servers, clients) = schedule.remaining();
        // Servers last: not one of them goes before the last client is done.
        assert!(clients == 0 || servers == 3, "{servers} servers and {clients} clients are left");
        if clients == 0 {
            clients_done.get_or_insert(schedule.now);
        }
        assert!(schedule.now < staged + 24 * 3_600_000, "a day has passed, and {clients} clients are left");
    }
    let minutes = |from: u64, to: u64| (to - from) as f64 / 60_000.0;
    println!(
        "100 nodes, 3 of them servers: {:.0} min, {:.2} min a node; at most {} down at once",
        minutes(staged, schedule.now),
        minutes(staged, schedule.now) / 100.0,
        schedule.most_down
    );
    assert!(clients_done.is_some());
    assert_eq!(schedule.most_down, 1);
    // A node takes the time that it is drained and boots, the looks at the gate, and the next one's look at the lock.
    assert!(schedule.now < staged + 100 * 300_000);
}
