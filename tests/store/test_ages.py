"""How long the oldest has been waiting, from a few marks."""

from suture.store.hatch import APART_S, MARKS, Ages


def test_nothing_that_waits_is_no_age():
    ages = Ages()
    assert ages.oldest_s(5) == 0
    ages.handed(1, 10)
    ages.done(1)
    assert ages.oldest_s(15) == 0


def test_the_age_is_that_of_the_oldest_and_not_of_what_came_since():
    ages = Ages()
    for second in range(10):
        ages.handed(second + 1, second)
    assert ages.oldest_s(10) == 10
    ages.done(4)
    assert ages.oldest_s(10) == 6
    ages.done(6)
    assert ages.oldest_s(10) == 0


def test_one_of_many_that_stays_is_seen_however_long():
    ages = Ages()
    for n in range(MARKS * 50):
        ages.handed(n + 1, n * APART_S)
    assert ages.oldest_s(n * APART_S) == n * APART_S
    assert len(ages._marks) <= MARKS


def test_a_queue_that_is_long_and_moves_shows_how_long_it_takes_through_it():
    ages = Ages()
    handed = done = 0
    for tick in range(1000):
        handed += 10
        ages.handed(handed - done, tick * 0.1)
        if tick >= 100:
            done += 10
            ages.done(10)
    assert 9 < ages.oldest_s(tick * 0.1) <= 10.5
