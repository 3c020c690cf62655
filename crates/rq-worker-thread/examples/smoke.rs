use rq_core::{Context, handlers, job, secs};
#[job("math.add")]
fn add(x: i64, y: i64) -> rq_core::Result<i64> {
    Ok(x + y)
}
#[job("t.boom")]
fn boom() -> rq_core::Result<()> {
    panic!("boom")
}
#[job("t.fail")]
fn fail(msg: String) -> rq_core::Result<()> {
    Err(msg.into())
}
#[job("t.sleep")]
async fn sleep(ctx: &Context, n: u64) -> rq_core::Result<u64> {
    ctx.sleep_async(secs(n)).await?;
    Ok(n)
}
#[job("t.spin")]
fn spin() -> rq_core::Result<()> {
    std::thread::sleep(secs(5));
    Ok(())
}
#[job("t.echo")]
fn echo(v: rq_core::Value) -> rq_core::Result<String> {
    Ok(v.repr())
}
fn main() -> std::process::ExitCode {
    tracing_subscriber::fmt().init();
    let w = rq_worker_thread::Worker::new(handlers![add, boom, fail, sleep, spin, echo])
        .url(std::env::var("U").unwrap())
        .queues(std::env::args().skip(1));
    let w = if std::env::var("B").is_ok() { w.burst() } else { w };
    w.run()
}
