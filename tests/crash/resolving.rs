//! A person's commands that are killed in the middle: what was said is done or it isn't, and typing it again does it once.

use std::os::unix::process::ExitStatusExt as _;

use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::{
    house::{House, Room, eventually},
    kinds::order,
};

/// Each place in the one transaction, and whether it is done by then.
const POINTS: [(&str, bool); 3] =
    [("resolve.locked", false), ("resolve.before_commit", false), ("resolve.committed", true)];

/// What a person says, and of what.
#[derive(Clone, Copy, Debug)]
enum Word {
    Retry,
    UpstreamOrder,
    Site,
    Absent,
    Abandon,
}

impl Word {
    const ALL: [Self; 5] =
        [Self::Retry, Self::UpstreamOrder, Self::Site, Self::Absent, Self::Abandon];

    /// What becomes of the order before anybody says something.
    const fn fault(self) -> Option<&'static str> {
        match self {
            Self::Retry => None,
            Self::UpstreamOrder | Self::Site => Some("process_then_drop"),
            Self::Absent | Self::Abandon => Some("drop"),
        }
    }

    /// Where the line stands then, where the word leads it, and where it ends.
    const fn statuses(self) -> [&'static str; 3] {
        match self {
            Self::Retry => ["held", "pending", "completed"],
            Self::UpstreamOrder => ["in_doubt", "provisioning", "completed"],
            Self::Site => ["in_doubt", "completed", "completed"],
            Self::Absent => ["in_doubt", "pending", "completed"],
            Self::Abandon => ["in_doubt", "failed", "failed"],
        }
    }

    /// The command, for an order of this reference.
    fn command(self, house: &House, label: &str) -> Vec<String> {
        let orders = house.sandbox.state().orders();
        let tag = format!("{label}/0");
        let bought = orders.iter().find(|order| order.tag.as_deref() == Some(tag.as_str()));
        let site = || {
            let sites = house.sandbox.state().sites();
            let domain = format!("{label}.nl");
            sites.iter().find(|site| site.domain == domain).map(|it| it.id.0)
        };
        let (verb, word) = match self {
            Self::Retry => ("retry", vec!["--max-cost".to_owned(), "6.50".to_owned()]),
            Self::UpstreamOrder => {
                let id = bought.expect("it was bought").id.0;
                ("resolve", vec!["--upstream-order".to_owned(), id.to_string()])
            }
            Self::Site => {
                let id = site().expect("it was delivered");
                ("resolve", vec!["--site".to_owned(), id.to_string()])
            }
            Self::Absent => ("resolve", vec!["--absent".to_owned()]),
            Self::Abandon => ("resolve", vec!["--abandon".to_owned()]),
        };
        let head = ["order", verb, label, "--line", "0", "--yes", "--by", "night"];
        head.into_iter().map(str::to_owned).chain(word).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_is_cut_off_is_done_once() {
    let house = House::new().await;
    let cells = Word::ALL.into_iter().flat_map(|word| POINTS.map(|point| (word, point)));
    let played = cells.enumerate().map(|(n, (word, (point, done)))| {
        let house = &house;
        async move {
            let label = format!("word{n:02}x");
            let room = house.room(&label).await;
            cut_off(&room, &label, word, point, done).await;
        }
    });
    // Each has a daemon, whose connections the server must have room for.
    stream::iter(played).buffer_unordered(4).collect::<Vec<()>>().await;
}

async fn cut_off(room: &Room<'_>, label: &str, word: Word, point: &str, done: bool) {
    let [before, after, end] = word.statuses();
    let mut line = json!({ "kind": "hosting", "package": "hosting_5gb", "domain": format!("{label}.nl"),
                           "billing_period": "monthly" });
    if let Some(fault) = word.fault() {
        room.house.fault(&json!({ "endpoint": "POST /api/v1/orders", "fault": fault,
                                  "match": { "reference": format!("{label}/") } }));
    } else {
        line["max_cost"] = json!("4.00");
    }
    // Nothing but the command finds out what became of it.
    let blind = [("LJPC__EVIDENCE_INTERVAL", "1h")];
    let daemon = room.daemon("", &blind);
    eventually("the sites are listed", async || {
        room.value("SELECT count(*) > 0 FROM provisor.site_listings").await
    })
    .await;
    room.submit("submit_order", &order(label, &line)).await;
    room.until_line(before).await;
    room.until_order("attention").await;
    daemon.drain().await;

    let command = word.command(room.house, label);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let killed = room.command(&format!("{point}=kill"), &command).await;
    assert_eq!(killed.status.signal(), Some(9), "{word:?} at {point}: {killed:?}");
    let told = "SELECT count(*) FROM provisor.events WHERE detail ->> 'by' = 'night'";
    let stands = (room.line().await, room.value::<i64>(told).await);
    let expected = if done { (after.to_owned(), 1) } else { (before.to_owned(), 0) };
    assert_eq!(stands, expected, "{word:?} at {point}");

    let again = room.command("", &command).await;
    assert!(again.status.success(), "{word:?} at {point}: {again:?}");
    assert_eq!(room.line().await, after, "{word:?} at {point}");
    assert_eq!(room.value::<i64>(told).await, 1, "{word:?} at {point}: it is told once");

    let daemon = room.daemon("", &blind);
    room.until_line(end).await;
    daemon.drain().await;
    let state = room.house.sandbox.state();
    let bought = state
        .orders()
        .iter()
        .filter(|it| it.tag.as_deref().is_some_and(|tag| tag.starts_with(label)))
        .count();
    assert_eq!(bought, usize::from(end == "completed"), "{word:?} at {point}");
}
