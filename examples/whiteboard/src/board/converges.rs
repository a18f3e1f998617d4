//! Whatever pages do, in whatever order it comes into the log, and however often it is sent: all end with one board.

use std::collections::{HashSet, VecDeque};

use proptest::collection::vec;
use proptest::prelude::*;

use super::change::Sent;
use super::*;

const PAGES: usize = 3;

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// A page does something.
    Do(usize, Change),
    /// What it has on its way comes into the log, once more where it had come before.
    Send(usize),
    /// A message that was answered long ago comes once more: a network may hold one back.
    Late(usize),
    /// It learns that it was taken.
    Answer(usize),
    /// It reads on in the log.
    Read(usize, usize),
    /// It lost its place, and begins anew from the server's board.
    Reload(usize),
    /// The server begins anew from what it has stored.
    Restart,
}

/// The reducer as the page has it: what is confirmed, and on top of it what is its own and not yet told.
#[derive(Debug)]
struct Page {
    user: String,
    confirmed: Board,
    /// Up to where it has read.
    read: usize,
    next: u64,
    queue: Vec<Change>,
    flight: Option<Op>,
    waiting: VecDeque<Op>,
}

impl Page {
    /// Two pages are one user's.
    fn new(number: usize) -> Self {
        Self {
            user: format!("user{}", number / 2),
            confirmed: Board::default(),
            read: 0,
            next: 1,
            queue: Vec::new(),
            flight: None,
            waiting: VecDeque::new(),
        }
    }

    /// What is under way, made of all that was done since the last.
    fn message(&mut self, page: usize) -> Option<Op> {
        if self.flight.is_none() && !self.queue.is_empty() {
            self.flight = Some(Op {
                by: self.user.clone(),
                name: self.user.clone(),
                sent: Some(Sent {
                    client: format!("client{page}"),
                    n: self.next,
                }),
                at: self.next,
                changes: std::mem::take(&mut self.queue),
            });
            self.next += 1;
        }
        self.flight.clone()
    }

    fn answer(&mut self) {
        self.waiting.extend(self.flight.take());
    }

    fn read(&mut self, log: &[Op], count: usize) {
        let until = log.len().min(self.read.saturating_add(count));
        for op in &log[self.read..until] {
            self.confirmed.apply(op);
        }
        self.read = until;
        self.forget_what_is_told();
    }

    fn reload(&mut self, board: &Board, at: usize) {
        self.confirmed = board.clone();
        self.read = at;
        self.forget_what_is_told();
    }

    fn forget_what_is_told(&mut self) {
        let is_told = |op: &Op| {
            op.sent
                .as_ref()
                .is_some_and(|sent| self.confirmed.has_seen(&op.by, &sent.client, sent.n))
        };
        self.waiting.retain(|op| !is_told(op));
        self.flight.take_if(|op| is_told(op));
    }

    fn shown(&self) -> Board {
        let mut board = self.confirmed.clone();
        for op in self.waiting.iter().chain(&self.flight) {
            board.apply(op);
        }
        if !self.queue.is_empty() {
            let changes = self.queue.clone();
            let by = self.user.clone();
            let name = by.clone();
            board.apply(&Op {
                by,
                name,
                sent: None,
                at: 0,
                changes,
            });
        }
        board
    }
}

/// The log, and the server's fold of it.
#[derive(Debug, Default)]
struct Server {
    log: Vec<Op>,
    board: Board,
}

impl Server {
    fn take(&mut self, op: Op) {
        self.board.apply(&op);
        self.log.push(op);
    }

    fn restart(&mut self) {
        let stored = serde_json::to_string(&self.board).unwrap();
        let board: Board = serde_json::from_str(&stored).unwrap();
        assert_eq!(board, self.board);
        assert_eq!(
            serde_json::to_string(&board).unwrap(),
            stored,
            "in the same order, too"
        );
        self.board = board;
    }
}

fn fold<'a>(mut board: Board, log: impl IntoIterator<Item = &'a Op>) -> Board {
    for op in log {
        board.apply(op);
    }
    board
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("c")].prop_map(Into::into)
}

fn added() -> impl Strategy<Value = Change> {
    let kind = prop_oneof![
        Just(object::Kind::Note),
        Just(object::Kind::Stroke),
        Just(object::Kind::Rect)
    ];
    (id(), kind, props()).prop_map(|(id, kind, props)| Change::Add { id, kind, props })
}

/// Any: also those that a kind doesn't have, since the reducer asks for nothing.
fn props() -> impl Strategy<Value = Props> {
    let number = || prop::option::of(-3_i64..3);
    let text = prop::option::of("[a-c\\n\"ä]{0,3}");
    let fields = (
        number(),
        number(),
        number(),
        prop::option::of(any::<bool>()),
        text,
    );
    fields.prop_map(|(x, color, width, deleted, text)| Props {
        x,
        color,
        width,
        deleted,
        text,
        points: x.map(|x| vec![x as i32; 2]),
        ..Props::default()
    })
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        2 => added(),
        4 => (id(), props()).prop_map(|(id, props)| Change::Set { id, props }),
        2 => id().prop_map(|id| Change::Edit { id }),
        1 => id().prop_map(|id| Change::Done { id }),
        1 => "[a-c]{1,3}".prop_map(|text| Change::Chat { text }),
        1 => vec(id(), 0..3).prop_map(|ids| Change::Forget { ids }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let page = || 0..PAGES;
    prop_oneof![
        6 => (page(), change()).prop_map(|(page, change)| Step::Do(page, change)),
        4 => page().prop_map(Step::Send),
        1 => page().prop_map(Step::Late),
        3 => page().prop_map(Step::Answer),
        4 => (page(), 1_usize..5).prop_map(|(page, count)| Step::Read(page, count)),
        1 => page().prop_map(Step::Reload),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #[test]
    fn all_pages_the_server_and_whoever_folds_the_log_end_with_one_board(steps in vec(step(), 0..120)) {
        let mut server = Server::default();
        let mut pages: Vec<_> = (0..PAGES).map(Page::new).collect();
        for step in steps {
            match step {
                Step::Do(page, change) => pages[page].queue.push(change),
                Step::Send(page) => pages[page].message(page).into_iter().for_each(|op| server.take(op)),
                Step::Late(page) => pages[page].waiting.front().cloned().into_iter().for_each(|op| server.take(op)),
                Step::Answer(page) => {
                    // Nobody answers what was never sent.
                    let flight = pages[page].flight.as_ref();
                    if flight.is_some_and(|op| server.log.contains(op)) {
                        pages[page].answer();
                    }
                }
                Step::Read(page, count) => pages[page].read(&server.log, count),
                Step::Reload(page) => pages[page].reload(&server.board, server.log.len()),
                Step::Restart => server.restart(),
            }
        }
        for (number, page) in pages.iter_mut().enumerate() {
            // What is under way may have been taken, and the answer lost: it is sent again. Then what is queued.
            for _ in 0..2 {
                page.message(number).into_iter().for_each(|op| server.take(op));
                page.answer();
            }
        }
        prop_assert_eq!(&fold(Board::default(), &server.log), &server.board);
        // Each once, however often it was sent.
        let mut told = HashSet::new();
        let log = server.log.iter();
        let once: Vec<_> = log.filter(|op| told.insert(op.sent.as_ref().map(|sent| (&sent.client, sent.n)))).collect();
        let once = fold(Board::default(), once);
        prop_assert_eq!(&once, &server.board);
        for page in &mut pages {
            page.read(&server.log, usize::MAX);
            prop_assert!(page.waiting.is_empty() && page.flight.is_none() && page.queue.is_empty());
            prop_assert_eq!(&page.shown(), &server.board);
        }
    }

    #[test]
    fn a_fold_goes_on_from_any_snapshot(steps in vec((0..PAGES, change(), 0..3_u64), 1..60), at in any::<prop::sample::Index>()) {
        let log: Vec<_> = steps.into_iter().enumerate().map(|(number, (page, change, back))| Op {
            by: format!("user{page}"),
            name: "Anna".into(),
            // Some of them repeats.
            sent: Some(Sent { client: format!("client{page}"), n: (number as u64 + 1).saturating_sub(back).max(1) }),
            at: number as u64,
            changes: vec![change],
        }).collect();
        let at = at.index(log.len());
        let before = fold(Board::default(), &log[..at]);
        let stored: Board = serde_json::from_str(&serde_json::to_string(&before).unwrap()).unwrap();
        prop_assert_eq!(fold(stored, &log[at..]), fold(Board::default(), &log));
    }

    #[test]
    fn an_op_reads_back_as_it_was_logged(page in 0..PAGES, changes in vec(change(), 1..5), has_page: bool) {
        let sent = has_page.then(|| Sent { client: format!("client{page}"), n: 7 });
        let op = Op { by: "anna".into(), name: "Anna".into(), sent, at: 5, changes };
        let text = serde_json::to_string(&op).unwrap();
        prop_assert_eq!(serde_json::from_str::<Op>(&text).unwrap(), op);
    }
}
