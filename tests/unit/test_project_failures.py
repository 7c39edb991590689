import pytest

from firstbad.project import failure_title, kinds
from firstbad.project.failures import alike


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: f"{kind.kind}: {kind.reads}")
def test_each_kind_reads_its_example(kind):
    noise = "building ...\n1 of 3 tests failed\n"
    assert failure_title(noise + kind.example + "\nmake: *** [check] Error 1\n", 1) == kind.reads


def test_every_kind_that_was_promised_is_there():
    names = {kind.kind for kind in kinds()}
    assert names >= {"asan", "ubsan", "tsan", "valgrind", "assertion", "python", "rust", "go", "signal"}


@pytest.mark.parametrize("status", [-11, 139])
def test_a_signal_names_what_says_nothing(status):
    assert failure_title("no words\n", status) == "signal: Segmentation fault"


@pytest.mark.parametrize("status", [1, 2, 125, 127, 128, None, 255])
def test_a_plain_exit_status_has_no_title(status):
    assert failure_title("expected 3, got 4\n", status) == ""


def test_numbers_and_addresses_do_not_make_titles_differ():
    one = failure_title("panic: index out of range [5] with length 3\n", 2)
    assert one == failure_title("panic: index out of range [7] with length 2\n", 2)
    assert alike("AddressSanitizer: heap-use-after-free in parse", "heap-use-after-free")
    assert not alike("AddressSanitizer: heap-use-after-free in parse", "UBSan")
    assert not alike("AddressSanitizer: heap-use-after-free in parse", "")


def test_output_without_end_is_read_quickly():
    assert failure_title("x" * 5_000_000 + "\n" + "a(" * 100_000 + "\n" + " " * 100_000, 1) == ""
