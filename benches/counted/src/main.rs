//! Does one piece so many times: `counted PIECE TIMES`. Whoever runs it twice, under a tool that counts, has in the
//! difference what the piece alone takes. It must not know that it is counted.

use std::hint::black_box;

use counted::{PLAIN, Settling, answer, event, events, read_answer, request};
use wire::{Metered, RequestFacts, UsageUnask};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [piece, times] = arguments.as_slice() else {
        panic!("usage: counted PIECE TIMES");
    };
    let times = times.parse().expect("a number");
    match piece.as_str() {
        "settle" => settle(times),
        "answer" => again(times, &answer(1_200, PLAIN), |body| drop(read_answer(body))),
        "request" => again(times, &request(400), |body| {
            drop(RequestFacts::read(Metered::ChatCompletions, body));
        }),
        "event" => {
            let asked = event(true);
            let mut reader = events(asked.as_bytes());
            again(times, &asked, |event| reader.push(event));
        }
        "unasked-event" => {
            let (mut filter, mut out) = (UsageUnask::new(), Vec::new());
            again(times, &event(true), |event| {
                out.clear();
                filter.push(event, &mut out);
                black_box(&out);
            });
        }
        _ => panic!("no such piece: {piece}"),
    }
}

fn settle(times: u64) {
    let settling = Settling::default();
    for _ in 0..times {
        black_box(black_box(&settling).settle());
    }
}

fn again(times: u64, bytes: &str, mut read: impl FnMut(&[u8])) {
    for _ in 0..times {
        read(black_box(bytes.as_bytes()));
    }
}
