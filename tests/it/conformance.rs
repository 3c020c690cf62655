//! What a worker must do, whatever runs its jobs: one suite, run under every executor.
//!
//! | file | asks |
//! |---|---|
//! | `again` | what runs again, what waits for others, and what people stop |
//! | `callbacks` | what is called where a job ran, once it has ended |
//! | `calls` | how calls end, in which codec, and what is kept of them |
//! | `groups` | when a group of jobs has ended |
//! | `order` | which jobs are run, and in which order |
//! | `limits` | what happens at a job's time limit |
//! | `middleware` | what code around jobs sees, and decides |
//! | `contexts` | what jobs, exception handlers and death penalties see |
//! | `lives` | what becomes of a job whose id is enqueued anew while it runs |
//! | `life` | what a worker says of itself, and when it stops by itself |
//! | `short` | what becomes of jobs that cannot begin |
//! | `stops` | what signals do |
//! | `log` | what it takes that somebody reads the log: nothing |
//! | `outbox` | what is done outside of Redis once a job has ended |
//! | `outages` | what is lost when the worker or Redis dies: nothing |

mod again;
mod callbacks;
mod calls;
mod contexts;
mod groups;
mod life;
mod limits;
mod lives;
mod log;
mod middleware;
mod order;
mod outages;
mod outbox;
mod short;
mod stops;

use std::process::ExitStatus;
use std::time::Duration;

use rq_core::blocking::Queue;
use rq_tests::{Child, Scratch};

use crate::rq_test::{Books, LIMIT, RqTest};

/// Runs the suite under an executor, by its word for `-w`. What only one executor promises stands in its own module.
macro_rules! suite {
    ($executor:ident) => {
        mod $executor {
            suite! { @scenarios stringify!($executor),
                again::a_failing_job_is_retried_as_often_as_it_may
                again::a_job_may_ask_to_run_again
                again::a_job_is_repeated
                again::jobs_run_after_those_they_depend_on
                again::a_stop_command_ends_a_running_job
                again::a_shutdown_command_is_a_warm_stop
                calls::calls_end_as_they_should
                calls::results_and_failures_are_kept_as_long_as_asked
                callbacks::a_success_callback_sees_the_value_before_it_is_stored
                callbacks::a_success_callback_that_fails_fails_the_job
                callbacks::a_failure_callback_is_called_however_the_job_failed
                callbacks::a_failure_callback_that_fails_replaces_the_failure
                callbacks::each_attempt_that_fails_is_told_and_a_retry_is_not
                callbacks::what_runs_again_is_called_for_again
                callbacks::one_callback_is_called_that_the_program_has
                callbacks::a_python_producer_names_callbacks
                callbacks::a_callback_has_the_context_of_its_job_and_a_limit_of_its_own
                callbacks::callbacks_end_at_their_limit
                callbacks::a_callback_that_ignores_its_limit_is_cut_short_and_not_called_again
                callbacks::a_success_callback_that_is_cut_short_fails_the_job
                callbacks::a_stop_ends_a_callback
                contexts::meta_and_progress_are_saved_during_the_run_and_after_it
                contexts::jobs_enqueue_more_work
                contexts::state_is_made_once_and_shared
                contexts::states_are_made_where_and_when_they_should_be
                contexts::a_state_that_cannot_be_made_says_why
                contexts::handlers_and_penalties_are_called_in_order
                contexts::penalties_are_armed_around_callbacks_with_their_own_limit
                contexts::a_failure_is_shown_once_through_an_outage
                contexts::the_context_is_current_in_its_job_alone
                calls::failures_that_nobody_files_leave_a_status
                groups::the_end_of_a_group_comes_once
                groups::what_dies_with_its_worker_ends_for_its_group_too
                life::a_worker_keeps_a_record_of_itself
                life::heartbeats_keep_the_worker_and_its_jobs_alive
                life::a_name_is_taken_once
                life::a_worker_ends_by_itself_when_told_to
                life::an_idle_worker_is_notified
                life::suspended_workers_take_no_jobs
                limits::every_kind_of_job_ends_at_its_time_limit
                limits::a_job_that_ignores_its_limit_holds_nobody_up
                limits::a_death_penalty_may_replace_the_limit
                limits::without_a_limit_jobs_end_by_themselves_or_by_request
                middleware::it_is_around_jobs_in_order_and_once_for_each_run
                middleware::what_it_returns_is_the_end_of_the_job
                middleware::it_sees_a_job_that_reached_its_limit
                middleware::what_it_hands_to_a_job_is_dropped_before_the_job_has_ended
                lives::both_lives_of_an_id_are_run
                lives::two_lives_at_once_keep_their_ends
                log::a_log_that_nobody_reads_stops_nothing
                log::whoever_reads_the_log_later_learns_how_much_was_dropped
                order::queues_are_served_in_order_and_the_head_first
                order::no_more_jobs_run_at_once_than_there_are_slots
                outages::no_id_is_lost_with_a_killed_worker
                outages::cut_connections_neither_lose_nor_repeat_a_job
                outages::a_restart_of_redis_neither_loses_nor_repeats_a_job
                outages::deleted_registries_neither_end_nor_lose_a_running_job
                outbox::a_stopped_job_has_its_callback_called_once_it_is_stopped
                outbox::a_failure_callback_that_lingers_through_a_cold_stop_is_called_once
                outbox::the_callback_of_a_job_whose_worker_died_is_called_by_whoever_reaps_it
                outbox::what_a_cold_stop_cuts_off_is_told_by_another_worker
                outbox::a_callback_that_a_worker_died_with_is_not_called_again
                outbox::a_callback_that_a_cold_stop_ends_is_not_told_as_lost
                outbox::a_callback_that_nobody_here_knows_leaves_the_end_alone_and_is_told_once
                outbox::webhooks_are_sent_when_the_end_is_written_and_before_a_burst_is_over
                outbox::a_webhook_outlives_the_worker_that_sends_it
                outbox::a_webhook_is_sent_again_until_it_is_taken_or_given_up
                outbox::a_webhook_to_an_address_of_ones_own_is_refused
                outbox::a_value_too_large_to_wait_for_a_callback_ends_no_worker
                outbox::a_warm_stop_waits_for_webhooks_and_computes_nothing
                life::a_worker_leaves_its_record_idle
                life::a_worker_says_what_it_is_at
                short::what_cannot_begin_goes_back_in_order_and_runs_when_it_can
                short::a_stop_finds_nothing_that_cannot_begin
                short::large_payloads_take_their_turn
                short::memory_is_given_back_when_the_worker_rests
                short::what_waits_for_its_turn_goes_back_in_a_cold_stop
                stops::the_first_signal_stops_warm
                stops::the_second_signal_stops_cold
                stops::a_cold_stop_waits_for_nobody
                stops::a_warm_stop_turns_cold_when_it_has_taken_long_enough
                stops::a_cold_stop_gives_back_what_may_run_twice
                stops::a_job_that_was_stopped_stays_stopped_in_a_cold_stop
                stops::signals_within_a_second_are_one
            }
        }
    };
    (@scenarios $executor:expr, $($file:ident::$scenario:ident)+) => {
        $(#[test]
        fn $scenario() {
            super::$file::$scenario($executor);
        })+
    };
}

suite!(thread);
suite!(fork);
suite!(green);

/// Where a scenario plays: a key space of its own, and the executor it is about.
struct Stage {
    scratch: Scratch,
    executor: &'static str,
}

impl Stage {
    fn new(executor: &'static str) -> Self {
        Self { scratch: Scratch::new(), executor }
    }

    /// On a Redis of the scenario's own.
    fn on(url: &str, executor: &'static str) -> Self {
        Self { scratch: Scratch::on(url), executor }
    }

    /// Starts a worker and waits until it listens.
    #[track_caller]
    fn worker(&self, args: &[&str]) -> Child {
        self.worker_of("", args)
    }

    /// [`Stage::worker`] of another of the test program's apps.
    #[track_caller]
    fn worker_of(&self, app: &'static str, args: &[&str]) -> Child {
        RqTest::app(&self.scratch, app).worker(&[&["-w", self.executor], args].concat())
    }

    /// Runs a worker until the queues are empty.
    #[track_caller]
    fn drain(&self, args: &[&str]) -> String {
        RqTest::new(&self.scratch).drain(&[&["-w", self.executor], args].concat())
    }

    /// The queue `default`.
    fn queue(&self) -> Queue {
        self.scratch.queue("default")
    }
}

/// How long a worker may take for what it does at once.
const SOON: Duration = Duration::from_secs(10);

/// Asserts an exit code, with all the worker wrote.
#[track_caller]
fn assert_exit(worker: &Child, status: ExitStatus, code: i32) {
    assert_eq!(status.code(), Some(code), "{}", worker.report());
}
