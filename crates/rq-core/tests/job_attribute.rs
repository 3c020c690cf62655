//! What `#[job]` writes, seen from a user's crate.

#![allow(clippy::unwrap_used, reason = "in a test it is an assertion")]

use rq_core::{Call, Context, Handlers, Payload, Value, handlers, job};
use serde::{Deserialize, Serialize};

/// A shared crate of contracts, as producers and workers would both depend on it.
mod contract {
    use rq_core::job;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[allow(unreachable_pub, reason = "a shared crate would export it")]
    pub struct Receipt {
        pub invoice_id: u64,
        pub sent: bool,
    }

    /// Charges an invoice and mails the receipt.
    #[job("billing.send_invoice")]
    pub fn send_invoice(invoice_id: u64, dry_run: bool) -> Receipt;
}

use contract::Receipt;

#[job(contract::send_invoice)]
fn send_invoice(ctx: &Context, invoice_id: u64, dry_run: bool) -> rq_core::Result<Receipt> {
    ctx.check()?;
    Ok(Receipt { invoice_id, sent: !dry_run })
}

#[derive(Serialize, Deserialize)]
enum Shape {
    Circle { radius: f64 },
    Square(f64),
}

#[job("geometry.area")]
fn area(shape: Shape, scale: Option<f64>) -> Result<f64, String> {
    let area = match shape {
        Shape::Circle { radius } => 3.0 * radius * radius,
        Shape::Square(side) => side * side,
    };
    Ok(area * scale.unwrap_or(1.0))
}

#[job("math.add_later")]
async fn add_later(x: i64, mut y: i64) -> anyhow::Result<i64> {
    y += x;
    Ok(y)
}

/// Parameters named as the attribute's own code might name its variables.
#[job("names.clash")]
fn clash(context: i64, arguments: i64) -> rq_core::Result<i64> {
    Ok(context - arguments)
}

#[job("meta.nothing")]
fn nothing() -> rq_core::Result<()> {
    Ok(())
}

#[test]
fn the_function_stays_a_function() {
    assert_eq!(area(Shape::Square(2.0), None), Ok(4.0));
    assert!(nothing().is_ok());
    assert_eq!(
        send_invoice(&Context::for_test(), 7, true).ok(),
        Some(Receipt { invoice_id: 7, sent: false })
    );
}

#[test]
fn the_type_beside_it_names_and_calls_it() {
    assert_eq!((area::NAME, area::PARAMS), ("geometry.area", &["shape", "scale"][..]));
    let call: Call<f64> = area::call(Shape::Circle { radius: 1.0 }, Some(2.0));
    assert_eq!(call.to_string(), "geometry.area({'Circle': {'radius': 1.0}}, 2.0)");
    let later: Call<i64> = add_later::call(2, 3);
    assert_eq!(later.to_string(), "math.add_later(2, 3)");
}

#[test]
fn a_contract_and_its_implementation_are_one_job() {
    assert_eq!(send_invoice::NAME, contract::send_invoice::NAME);
    assert_eq!(send_invoice::PARAMS, ["invoice_id", "dry_run"]);
    let call: Call<Receipt> = contract::send_invoice::call(42, true);
    assert_eq!(call.to_string(), "billing.send_invoice(42, True)");
}

/// Runs a call as a worker would, without Redis.
fn perform(func: &str, args: Vec<Value>) -> Result<String, String> {
    let payload = Payload { func: func.to_owned(), args, kwargs: Vec::new() };
    let data = rq_core::Codec::Json.encode_payload(&payload).unwrap();
    let job = rq_core::Job::new("j", "default", data);
    let prepared = all().prepare(&job).map_err(|failure| failure.text())?;
    let context = Context::for_test();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let value = runtime.block_on(prepared.run_async(&context)).map_err(|failure| failure.text())?;
    Ok(value.map_or("None".to_owned(), |json| String::from_utf8(json).unwrap()))
}

fn all() -> Handlers {
    handlers![area, add_later, clash, nothing].merge(handlers![send_invoice])
}

#[test]
fn handlers_run_what_a_producer_sent() {
    let square = || Value::Dict(vec![(Value::Str("Square".into()), Value::Float(3.0))]);
    for (func, args, expected) in [
        ("geometry.area", vec![square()], "9.0"),
        ("math.add_later", vec![Value::Int(2), Value::Int(3)], "5"),
        ("names.clash", vec![Value::Int(7), Value::Int(3)], "4"),
        ("meta.nothing", vec![], "None"),
        (
            "billing.send_invoice",
            vec![Value::Int(1), Value::Bool(false)],
            r#"{"invoice_id": 1, "sent": true}"#,
        ),
    ] {
        assert_eq!(perform(func, args).as_deref(), Ok(expected), "{func}");
    }
    assert_eq!(
        perform("billing.send_invoice", vec![Value::Int(1)]).unwrap_err(),
        "TypeError: billing.send_invoice() missing argument 'dry_run'"
    );
}
