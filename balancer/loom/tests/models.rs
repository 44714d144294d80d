//! Each model is a test.

macro_rules! models {
    ($($name:ident = $path:path: $($model:ident),+;)+) => {
        $(mod $name {
            use $path as models;
            $(#[test]
            fn $model() {
                models::$model();
            })+
        })+
    };
}

models! {
    entry = balancer_loom::stickiness::one_entry::models:
        words_between_two_equal_stamps_are_of_one_write,
        mixed_words_are_nobodys,
        a_session_is_never_read_half,
        a_session_that_moves_is_on_one_of_two_targets,
        a_renewal_hides_nothing,
        one_of_two_writers_has_the_entry,
        a_claim_that_is_taken_over_sends_nobody_astray;
    table = balancer_loom::stickiness::table_models:
        a_session_that_is_renewed_is_never_missed,
        two_that_begin_one_session_agree,
        a_late_renewal_does_not_undo_a_move,
        who_has_come_back_stays_so;
    ledger = balancer_loom::stickiness::ledger_models:
        none_that_begins_is_lost,
        clocks_that_differ_count_nobody_twice,
        side_by_side_one_session_stays_one,
        two_clients_of_one_second_stay_two,
        a_session_that_leaves_is_counted_once,
        a_new_duration_loses_nobody;
}
