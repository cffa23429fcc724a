//! Usage that nobody can believe: of a wrong type, negative, fractional, absurd, there twice, or written
//! by the model into its text. Bytes pass as they came, the verdict is unknown, and no number is made up.
//!
//! Knows what an answer may say of itself; how it is read is the product's affair.

use harness::chat::{self, DATE, DONE, EVENTS, JSON, MODEL, PATH, ask, completion};
use harness::coding::Coding;
use harness::findings::Findings;
use harness::patience::eventually;
use harness::proxy::{Proxy, ProxySetup, Settled};
use harness::raw::{self, Answer, Request};
use harness::upstream::{Step, Upstream, chunked, sized};

const ORGANIZATION: (&str, &str) = ("openai-organization", "acme");
/// Tokens free a day of the small group at usage tier 3.
const ALLOWANCE: u64 = 10_000_000;
/// A usage as it should be, as the model may write it too.
const SOUND: &str = r#","usage":{"%in":12,"%out":34,"%all":46}"#;

/// The members of an answer that say its usage, none of which can be believed. `%in`, `%out` and `%all`
/// stand for what the endpoint calls its counts.
const ODD_USAGES: [(&str, &str); 24] = [
    ("there is none", ""),
    ("input alone", r#","usage":{"%in":12}"#),
    (
        "no output, though the total says none",
        r#","usage":{"%in":12,"%all":12}"#,
    ),
    ("null", r#","usage":null"#),
    (
        "input is a string",
        r#","usage":{"%in":"12","%out":34,"%all":46}"#,
    ),
    (
        "output is null",
        r#","usage":{"%in":12,"%out":null,"%all":12}"#,
    ),
    (
        "output is an object",
        r#","usage":{"%in":12,"%out":{"a":34},"%all":46}"#,
    ),
    (
        "input is a list",
        r#","usage":{"%in":[12],"%out":34,"%all":46}"#,
    ),
    (
        "input is negative",
        r#","usage":{"%in":-12,"%out":34,"%all":22}"#,
    ),
    (
        "output is negative",
        r#","usage":{"%in":12,"%out":-1,"%all":11}"#,
    ),
    (
        "input is fractional",
        r#","usage":{"%in":12.5,"%out":34,"%all":46}"#,
    ),
    (
        "output is whole, but with a point",
        r#","usage":{"%in":12,"%out":34.0,"%all":46}"#,
    ),
    (
        "output has an exponent",
        r#","usage":{"%in":12,"%out":3e1,"%all":42}"#,
    ),
    (
        "input is just too large",
        r#","usage":{"%in":1099511627777,"%out":1,"%all":1099511627778}"#,
    ),
    (
        "input wraps 64 bits",
        r#","usage":{"%in":18446744073709551628,"%out":34,"%all":46}"#,
    ),
    (
        "output is beyond any number",
        r#","usage":{"%in":12,"%out":1e400,"%all":46}"#,
    ),
    (
        "a count twice",
        r#","usage":{"%in":12,"%in":13,"%out":34,"%all":46}"#,
    ),
    (
        "the same count twice",
        r#","usage":{"%in":12,"%out":34,"%out":34,"%all":46}"#,
    ),
    (
        "usage twice",
        r#","usage":{"%in":12,"%out":34,"%all":46},"usage":{"%in":1,"%out":1,"%all":2}"#,
    ),
    (
        "the sum is another",
        r#","usage":{"%in":12,"%out":34,"%all":47}"#,
    ),
    (
        "usage is a string",
        r#","usage":"{\"%in\":12,\"%out\":34,\"%all\":46}""#,
    ),
    (
        "usage is a list",
        r#","usage":[{"%in":12,"%out":34,"%all":46}]"#,
    ),
    ("usage is a number", r#","usage":46"#),
    (
        "usage is deeper",
        r#","metadata":{"usage":{"%in":12,"%out":34,"%all":46}}"#,
    ),
];

/// How the answer with such a usage comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Chat,
    ChatStream,
    Response,
    ResponseStream,
}

impl Form {
    const ALL: [Form; 4] = [
        Form::Chat,
        Form::ChatStream,
        Form::Response,
        Form::ResponseStream,
    ];

    fn request(self) -> Request {
        let input = format!(r#"{{"model":"{MODEL}","input":"Hi""#);
        match self {
            Form::Chat => Request::post(PATH, ask(MODEL, "")),
            Form::ChatStream => {
                let stream = r#","stream":true,"stream_options":{"include_usage":true}"#;
                Request::post(PATH, ask(MODEL, stream))
            }
            Form::Response => Request::post("/v1/responses", format!("{input}}}")),
            Form::ResponseStream => {
                Request::post("/v1/responses", format!(r#"{input},"stream":true}}"#))
            }
        }
    }

    /// Whether its head waits for the verdict.
    fn is_held(self) -> bool {
        matches!(self, Form::Chat | Form::Response)
    }

    fn counts(self, usage: &str) -> String {
        let (input, output) = match self {
            Form::Chat | Form::ChatStream => ("prompt_tokens", "completion_tokens"),
            Form::Response | Form::ResponseStream => ("input_tokens", "output_tokens"),
        };
        let named = usage.replace("%in", input).replace("%out", output);
        named.replace("%all", "total_tokens")
    }

    /// The body of the answer in which the model says `text` and upstream says `usage`.
    fn body(self, text: &str, usage: &str) -> Vec<u8> {
        let usage = self.counts(usage);
        let id = "chatcmpl-odd";
        let content = format!(r#"[{{"type":"output_text","text":"{text}"}}]"#);
        let output = format!(r#"[{{"type":"message","content":{content}}}]"#);
        let response = format!(
            r#"{{"id":"resp_odd","object":"response","status":"completed","model":"{MODEL}","output":{output}{usage}}}"#
        );
        match self {
            Form::Chat => completion(id, MODEL, text, &usage),
            Form::ChatStream => {
                let says = chat::says(id, MODEL, text);
                let last = chat::event(id, MODEL, &format!(r#""choices":[]{usage}"#));
                [&says[..], &last, DONE].concat()
            }
            Form::Response => response.into_bytes(),
            Form::ResponseStream => format!(
                "event: response.completed\n\
                 data: {{\"type\":\"response.completed\",\"response\":{response}}}\n\n"
            )
            .into_bytes(),
        }
    }

    fn answer(self, body: &[u8]) -> Vec<u8> {
        match self {
            Form::Chat | Form::Response => sized(200, &[JSON, ORGANIZATION, DATE], body),
            Form::ChatStream | Form::ResponseStream => {
                let middle = body.len() / 2;
                let pieces = [&body[..middle], &body[middle..]];
                chunked(200, &[EVENTS, ORGANIZATION, DATE], &pieces)
            }
        }
    }
}

/// The bodies of answers by form and number, in the order of the tests that ask for them.
type Bodies = Vec<[Vec<u8>; 4]>;

/// An upstream that answers each request by the two headers that say which answer it wants, and a proxy
/// that knows whom that belongs to.
async fn answering(bodies: Bodies) -> (Upstream, Proxy) {
    let upstream = Upstream::start(move |received| {
        let number = |name: &str| -> usize {
            let value = received.headers.get(name).unwrap_or("0");
            value.parse().expect("a number")
        };
        let form = number("x-form");
        let body = &bodies[number("x-answer")][form];
        vec![Step::Bytes(Form::ALL[form].answer(body))]
    })
    .await;
    let setup = ProxySetup::to(&upstream.url())
        .variable("TOLLFREE_USAGE_TIER", "3")
        .declared();
    let proxy = Proxy::start(setup);
    // The first `date` header tells the proxy what day it is.
    proxy.exchange(&Request::get("/v1/models")).await;
    (upstream, proxy)
}

fn wanting(form: usize, answer: usize) -> Request {
    let request = Form::ALL[form].request();
    let request = request.header("x-form", &form.to_string());
    request.header("x-answer", &answer.to_string())
}

async fn lookup(proxy: &Proxy, answer: &Answer) -> Settled {
    let call = answer.header("x-tollfree-call").expect("a call");
    let request = Request::get(&format!("/v1/_tollfree/calls/{call}?wait=10"));
    Settled::of(&proxy.exchange(&request).await)
}

/// What differs between the bytes of both.
fn bytes(direct: &Answer, through: &Answer) -> Option<String> {
    let same = through.body.bytes == direct.body.bytes && through.body.end == direct.body.end;
    let (text, end) = (through.text(), &through.body.end);
    (!same).then(|| format!("bytes: {text} {end:?}"))
}

/// What says a number, or another word than unknown.
fn believed(form: usize, through: &Answer, settled: &Settled) -> Vec<String> {
    let mut found = Vec::new();
    let head = through.header("x-tollfree-verdict");
    if Form::ALL[form].is_held() && head != Some("unknown") {
        found.push(format!("head: {head:?}"));
    }
    let word = (settled.verdict(), settled.text("reason"));
    if word != ("unknown", Some("usage-missing")) {
        found.push(format!("word: {word:?}"));
    }
    for field in ["tokens", "input-tokens", "output-tokens", "cost-usd"] {
        let tag = through.header(&format!("x-tollfree-{field}"));
        let (number, text) = (settled.number(field), settled.text(field));
        if tag.is_some() || number.is_some() || text.is_some() {
            found.push(format!("{field}: {tag:?} {number:?} {text:?}"));
        }
    }
    found
}

#[tokio::test]
async fn what_cannot_be_believed_is_unknown_and_never_a_number() {
    let bodies = |(_, usage): &(&str, &str)| Form::ALL.map(|form| form.body("Hi", usage));
    let mut answers: Bodies = ODD_USAGES.iter().map(bodies).collect();
    answers.push(Form::ALL.map(|form| form.body("Hi", SOUND)));
    let (upstream, proxy) = answering(answers).await;
    let mut findings = Findings::default();
    for (number, (name, _)) in ODD_USAGES.iter().enumerate() {
        for (form, named) in Form::ALL.iter().enumerate() {
            let request = wanting(form, number);
            let direct = raw::exchange(upstream.address(), &request).await;
            let through = proxy.exchange(&request).await;
            let settled = lookup(&proxy, &through).await;
            let mut found = believed(form, &through, &settled);
            found.extend(bytes(&direct, &through));
            findings.add(&format!("{named:?}, {name}"), found);
        }
    }
    assert!(findings.is_empty(), "\n{findings}");
    // One line for each, no more.
    let calls = ODD_USAGES.len() * Form::ALL.len();
    let told = || proxy.log().matches("no usage that can be believed").count();
    eventually("a log line a call", || (told() >= calls).then_some(())).await;
    assert_eq!(told(), calls, "{}", proxy.log());
    // Nothing of all that was booked: calls that are believed find the whole allowance.
    let mut taken = 0;
    for form in 0..Form::ALL.len() {
        let answer = proxy.exchange(&wanting(form, ODD_USAGES.len())).await;
        let settled = lookup(&proxy, &answer).await;
        taken += 46;
        assert_eq!(settled.number("tokens"), Some(46), "{settled:?}");
        let remaining = settled.number("remaining-tokens");
        assert_eq!(remaining, Some(ALLOWANCE - taken), "{settled:?}");
    }
}

/// What a model may write that looks like usage, as JSON spells it in a text.
fn written(form: Form) -> [String; 4] {
    let object = format!(
        r#"{{"id":"resp_2","model":"gpt-4o"{}}}"#,
        form.counts(SOUND)
    );
    let escaped = object.replace('"', "\\\"");
    let unicode = object.replace('"', "\\u0022");
    [
        escaped.clone(),
        unicode,
        format!("\\n\\ndata: {escaped}\\n\\ndata: [DONE]\\n\\n"),
        format!("\\\"}}}}],{}", &escaped[1..]),
    ]
}

#[tokio::test]
async fn usage_in_the_models_text_is_text() {
    let text = |form: Form, number: usize| written(form)[number].clone();
    let believable = SOUND.replace("12", "7").replace("46", "41");
    let mut answers = Bodies::new();
    for number in 0..4 {
        answers.push(Form::ALL.map(|form| form.body(&text(form, number), "")));
        answers.push(Form::ALL.map(|form| form.body(&text(form, number), &believable)));
    }
    let many = answers.len();
    let (upstream, proxy) = answering(answers).await;
    let mut findings = Findings::default();
    for number in 0..many {
        for (form, named) in Form::ALL.iter().enumerate() {
            let request = wanting(form, number);
            let direct = raw::exchange(upstream.address(), &request).await;
            let through = proxy.exchange(&request).await;
            let settled = lookup(&proxy, &through).await;
            let mut found: Vec<String> = bytes(&direct, &through).into_iter().collect();
            if number % 2 == 0 {
                found.extend(believed(form, &through, &settled));
            } else if (settled.number("input-tokens"), settled.number("tokens"))
                != (Some(7), Some(41))
            {
                found.push(format!("counted: {settled:?}"));
            }
            findings.add(&format!("{named:?}, text {number}"), found);
        }
    }
    assert!(findings.is_empty(), "\n{findings}");
}

#[tokio::test]
async fn an_answer_that_cannot_be_decoded_passes_and_is_unknown() {
    let body = Form::Chat.body("Hi", &Form::Chat.counts(SOUND));
    let mut broken = Coding::Gzip.encode(&body);
    let middle = broken.len() / 2;
    broken[middle..].fill(0xaa);
    let claims = [
        ("gzip", body.clone()),
        ("gzip", broken),
        ("gzip", Coding::Zstd.encode(&body)),
        ("dcb", body.clone()),
        ("gzip, gzip", Coding::Gzip.encode(&body)),
    ];
    for (coding, bytes) in claims {
        let lines = [JSON, ORGANIZATION, ("content-encoding", coding)];
        let upstream = Upstream::constant(sized(200, &lines, &bytes)).await;
        let proxy = Proxy::start(ProxySetup::to(&upstream.url()));
        let request = Form::Chat.request().header("accept-encoding", "gzip");
        let answer = proxy.exchange(&request).await;
        assert_eq!(answer.body.bytes, bytes, "{coding}");
        assert_eq!(answer.header("content-encoding"), Some(coding));
        let settled = lookup(&proxy, &answer).await;
        assert_eq!(settled.verdict(), "unknown", "{coding}: {settled:?}");
        let reason = settled.text("reason");
        assert_eq!(reason, Some("unreadable-body"), "{coding}: {settled:?}");
        assert_eq!(settled.number("tokens"), None, "{coding}: {settled:?}");
    }
}
