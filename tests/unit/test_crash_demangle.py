"""Mangled names: what compilers made of a crate of ours, and what no compiler made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbad.crash.demangle import demangle, demangle_text

COMPILED = {
    # v0, rustc 1.95
    "_RNvCs8IMtmW22QcU_3gad2go": "gad::go",
    "_RNCNvCs8IMtmW22QcU_3gad2gos_0B3_": "gad::go::{closure#1}",
    "_RNvMs_NtCs8IMtmW22QcU_3gad3devINtB4_4RinghE5drain": "<gad::dev::Ring<u8>>::drain",
    "_RNvXNtCs8IMtmW22QcU_3gad3devINtB2_4RingReENtB2_4Open4openB4_": "<gad::dev::Ring<&str> as gad::dev::Open>::open",
    "_RINvNtCs8IMtmW22QcU_3gad3dev5sizedKj7_Kb1_EB4_": "gad::dev::sized::<7, true>",
    "_RINvNtCs8IMtmW22QcU_3gad3dev2cbThcAxj2_EEB4_": "gad::dev::cb::<(u8, char, [i64; 2])>",
    "_RINvNtCs8IMtmW22QcU_3gad3dev2cbFG_UKCRL0_hEmEB4_": (
        "gad::dev::cb::<for<'a> unsafe extern \"C\" fn(&'a u8) -> u32>"
    ),
    "_RINvNtCs8IMtmW22QcU_3gad3dev2cbQDNtNtNtNtCsgEmfK2I1SDS_4core4iter6traits8iterator8Iteratorp4ItemhEL_EB4_": (
        "gad::dev::cb::<&mut dyn core::iter::traits::iterator::Iterator<Item = u8>>"
    ),
    "_RNSNvYNCNvCs8IMtmW22QcU_3gad2gos_0INtNtNtCsgEmfK2I1SDS_4core3ops8function6FnOnceTPhTlEEE9call_once6vtableB8_": (
        "<gad::go::{closure#1} as core::ops::function::FnOnce<(*const u8, (i32,))>>::call_once::{shim:vtable#0}"
    ),
    "_RNvNtCs8IMtmW22QcU_3gad3devu9gre_6ka8i": "gad::dev::größe",
    # its predecessor, rustc -C symbol-mangling-version=legacy
    "_ZN3gad2go17he20e2af5bf32947aE": "gad::go",
    "_ZN3gad2go28_$u7b$$u7b$closure$u7d$$u7d$17h5cdd7dbd86e1e5a5E": "gad::go::{{closure}}",
    "_ZN3gad3dev13gr$uf6$$udf$e17h6ba2a8d22c5e0213E": "gad::dev::größe",
    "_ZN58_$LT$gad..dev..Ring$LT$T$GT$$u20$as$u20$gad..dev..Open$GT$4open17h906c9d2eb4971b65E": (
        "<gad::dev::Ring<T> as gad::dev::Open>::open"
    ),
    # g++
    "_Z6widgeti": "widget",
    "_ZN3dev6widgetEi": "dev::widget",
    "_ZNK3dev6Gadget4sizeEv": "dev::Gadget::size",
}


@pytest.mark.parametrize(("name", "path"), COMPILED.items())
def test_what_compilers_make(name: str, path: str) -> None:
    assert demangle(name) == path
    assert demangle(f"{name}.llvm.1234567890") == path
    assert demangle(f"{name}.cold") == f"{path}.cold"


@pytest.mark.parametrize(
    "name",
    [
        "do_exit", "_REGISTER_LOOPER", "_RECLAIMABLE", "_Z", "_R", "_RN", "_ZN", "_Z3", "_Z3foo", "_ZN3fooE",
        "_Z9999foo", "_RNvC3foo", "_RNvC3foo9bar", "_RNvC3foo3barX", "_RB_", "_RNvB_3foo", "_RNvC3foo3bar$x",
        "_ZN3stdlsERSoi", "_Z3fooIiEvv", "",
    ],
)  # fmt: skip
def test_what_is_not_mangled_stays(name: str) -> None:
    assert demangle(name) == name


def test_in_text() -> None:
    line = " ? _RNvCs8IMtmW22QcU_3gad2go+0x1/0x2, __RNvC3foo3bar _RECLAIMABLE _Z6widgeti+0x3/0x4\n"
    assert demangle_text(line) == " ? gad::go+0x1/0x2, __RNvC3foo3bar _RECLAIMABLE widget+0x3/0x4\n"


@pytest.mark.parametrize(
    "name",
    [
        "_R" + "N" * 1000,
        "_R" + "Y" * 1000,
        # Each tuple holds the one before twice: written out, 2^25 elements.
        "_RIC3fooT" + "".join("TB_B_" for _ in range(25)) + "E" * 26 + "E",
        "_RIC1a" + "TB5_" * 200,
        "_ZN" + "1a" * 500,
    ],
)
def test_hostile_names_end(name: str) -> None:
    assert len(demangle(name)) < 1 << 20


@given(st.text(alphabet="_RZNCIBTEMXYKLGFDApsu0123456789abhv$.", max_size=80).map("_R".__add__))
def test_any_v0_name(name: str) -> None:
    assert demangle(name)


@given(st.text(max_size=60).map("_ZN".__add__))
def test_any_other_name(name: str) -> None:
    assert demangle(name)
    demangle_text(name)
