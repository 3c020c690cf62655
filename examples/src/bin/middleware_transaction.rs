//! Puts a transaction around each job: `middleware_transaction`. What a job has written counts if it ends well.
//!
//! Needs a Redis: `RQ_REDIS_URL`, or one on this machine.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, ensure};
use rq_core::blocking::Queue;
use rq_core::{Call, Context, JobOutcome, Next, handlers, job};
use rq_worker_green::Worker;

const QUEUE: &str = "middleware_transaction";

type Balances = BTreeMap<String, i64>;

/// Stands for a database whose client is async.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Balances>>);

impl Ledger {
    async fn begin(&self) -> Result<Transaction> {
        tokio::task::yield_now().await;
        Ok(Transaction { ledger: self.clone(), written: Mutex::default() })
    }
}

/// What a job has written so far. Dropped without a commit, it was never there.
struct Transaction {
    ledger: Ledger,
    written: Mutex<Balances>,
}

impl Transaction {
    /// Returns the balance.
    fn add(&self, account: &str, amount: i64) -> i64 {
        let before = || locked(&self.ledger.0).get(account).copied().unwrap_or_default();
        let mut written = locked(&self.written);
        let balance = written.entry(account.to_owned()).or_insert_with(before);
        *balance += amount;
        *balance
    }

    async fn commit(&self) -> Result<()> {
        tokio::task::yield_now().await;
        locked(&self.ledger.0).append(&mut locked(&self.written));
        Ok(())
    }

    async fn roll_back(&self) -> Result<()> {
        tokio::task::yield_now().await;
        locked(&self.written).clear();
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs each job in a transaction of its own, which it finds among its extensions.
fn in_transaction(ctx: &Context, next: Next<'_>) -> JobOutcome {
    let transaction = ctx.block_on(ctx.state::<Ledger>().begin())??;
    ctx.extensions().insert(transaction);
    let outcome = next.run();
    let Some(transaction) = ctx.extensions().remove::<Transaction>() else { return outcome };
    // Also where the job has panicked, or its time is up: nothing unwinds through here.
    match &outcome {
        Ok(_) => ctx.block_on(transaction.commit())??,
        Err(_) => ctx.block_on(transaction.roll_back())??,
    }
    println!("{}: {}", ctx.job().id, if outcome.is_ok() { "committed" } else { "rolled back" });
    outcome
}

/// Moves money. Writes first and checks afterwards, as it may.
#[job("ledger.pay")]
fn pay(ctx: &Context, from: String, to: String, amount: i64) -> Result<()> {
    let transaction = ctx.extensions().get::<Transaction>().context("there is no transaction")?;
    transaction.add(&to, amount);
    let left = transaction.add(&from, -amount);
    ensure!(left >= 0 || from == "bank", "{from} cannot pay {amount}");
    assert_ne!(from, to, "nobody pays himself");
    Ok(())
}

fn payment(id: &str, from: &str, to: &str, amount: i64) -> Call<()> {
    pay::call(from.to_owned(), to.to_owned(), amount).job_id(id)
}

fn main() -> Result<()> {
    let redis = std::env::var("RQ_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    Queue::connect(&redis, QUEUE)?.enqueue_many([
        payment("wages", "bank", "ada", 100),
        payment("fails", "ada", "bob", 500),
        payment("rent", "ada", "bob", 40),
        payment("panics", "bob", "bob", 10),
    ])?;
    let ledger = Ledger::default();
    let shared = ledger.clone();
    let worker = Worker::new(handlers![pay]).url(redis).queues([QUEUE]).concurrency(1).burst();
    worker.state(move || shared.clone()).middleware(in_transaction).try_run()?;
    for (account, balance) in &*locked(&ledger.0) {
        println!("{account} has {balance}");
    }
    Ok(())
}
