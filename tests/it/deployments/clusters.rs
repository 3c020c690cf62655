//! A Redis Cluster: all keys of a prefix share a slot, which may move.

use std::time::Duration;

use rq_core::Call;
use rq_tests::{Cluster, Scratch};

use super::load::Load;
use crate::rq_test::{Books, RqTest};

const PRIMARIES: u16 = 3;
/// Between two commands of an operator's who moves a slot: what is under way meets both nodes.
const MOVE_PAUSE: Duration = Duration::from_millis(5);
/// How long a move stands still, in which nobody may give up.
const HELD: Duration = Duration::from_millis(500);

#[test]
fn a_failover_under_load_costs_no_job() {
    let cluster = Cluster::start(PRIMARIES);
    // Any node may be named: this one has no slots.
    let scratch = Scratch::tagged_on(&cluster.url(cluster.spare()));
    cluster.replicate(cluster.owner(&scratch.key("queues"), 0));
    let load = Load::start(&scratch, "thread");
    load.during(|| cluster.fail_over());
    load.check(&Scratch::seen_by(&scratch, &cluster.url(cluster.spare())));
}

#[test]
fn the_death_of_a_primary_costs_no_job() {
    let mut cluster = Cluster::start(PRIMARIES);
    let owner = 0;
    // The one node that is named is the one that dies.
    let scratch = tagged_for(&cluster, owner);
    cluster.replicate(owner);
    let load = Load::start(&scratch, "fork");
    load.during(|| cluster.kill(owner));
    load.check(&Scratch::seen_by(&scratch, &cluster.url(cluster.spare())));
}

#[test]
fn a_slot_that_moves_under_load_costs_no_job() {
    let cluster = Cluster::start(PRIMARIES);
    let scratch = Scratch::tagged_on(&cluster.url(0));
    let key = scratch.key("queues");
    let load = Load::start(&scratch, "green");
    let to = (cluster.owner(&key, 0) + 1) % usize::from(PRIMARIES);
    load.during(|| cluster.begin_migration(&key, to).finish(MOVE_PAUSE));
    load.check(&Scratch::seen_by(&scratch, &cluster.url(to)));
}

/// A script would be let in by the keys that it names, which are there, and fail halfway at those it makes.
#[test]
fn a_producer_waits_while_its_slot_moves() {
    let cluster = Cluster::start(PRIMARIES);
    let scratch = Scratch::tagged_on(&cluster.url(0));
    let queue = scratch.queue("default");
    let call = |id: &str| Call::<i64>::to("math.add").arg(2).arg(3).job_id(id);
    queue.enqueue(call("before")).unwrap();
    let key = scratch.key("queues");
    let to = (cluster.owner(&key, 0) + 1) % usize::from(PRIMARIES);
    let migration = cluster.begin_migration(&key, to);
    std::thread::scope(|scope| {
        let meanwhile = scope.spawn(|| queue.enqueue(call("meanwhile")));
        std::thread::sleep(HELD);
        assert!(!meanwhile.is_finished(), "{:?}", meanwhile.join());
        migration.finish(Duration::ZERO);
        meanwhile.join().unwrap().unwrap();
    });
    let there = Scratch::seen_by(&scratch, &cluster.url(to));
    let range = [there.key("queue:default"), "0".to_owned(), "-1".to_owned()];
    assert_eq!(there.query::<Vec<String>>("LRANGE", range), ["before", "meanwhile"]);
}

#[test]
fn several_prefixes_work_side_by_side_on_several_primaries() {
    let cluster = Cluster::start(PRIMARIES);
    for owner in 0..usize::from(PRIMARIES) {
        let at_owner = tagged_for(&cluster, owner);
        // Whichever node is named.
        let scratch = Scratch::seen_by(&at_owner, &cluster.url(0));
        let job = scratch.queue("default").enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
        RqTest::new(&scratch).drain(&[]);
        assert_eq!(job.result().unwrap(), Some(5));
        assert_eq!(at_owner.count("finished:default"), 1);
        let info = RqTest::new(&scratch).run(&["info"]);
        assert!(info.contains("default"), "{info}");
    }
}

#[test]
fn a_prefix_without_a_tag_is_refused_with_the_way_on() {
    let cluster = Cluster::start(PRIMARIES);
    let scratch = Scratch::on(&cluster.url(0));
    for args in [&["worker"][..], &["enqueue", "math.add", ":2", ":3"]] {
        let (code, _, errors) = RqTest::new(&scratch).outcome(args);
        assert!(code == Some(1) && errors.contains("RQ_KEY_PREFIX"), "{args:?}: {code:?} {errors}");
    }
}

/// A key space whose slot is a node's, reached through that node.
fn tagged_for(cluster: &Cluster, owner: usize) -> Scratch {
    let url = cluster.url(owner);
    let scratches = std::iter::repeat_with(|| Scratch::tagged_on(&url)).take(1_000);
    let mut owned = scratches.filter(|scratch| cluster.owner(&scratch.key("queues"), 0) == owner);
    owned.next().expect("each node has its share of slots")
}
