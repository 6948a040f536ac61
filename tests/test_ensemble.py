"""What an ensemble says of a record, against the same computed step by step."""

import pickle

import numpy as np
import pytest
import torch
import wfdb
from random_network import random_network
from scipy.special import softmax
from torch import nn
from wfdb_files import ecg, write

from dnalib.data import SHORT_CLASS_NAMES, DataError, prepare_signal
from dnalib.ensemble import Ensemble, Prediction
from dnalib.filters import FourierFilter, ring_filters
from dnalib.model import Network

LENGTH = 900


def member(seed, **options):
    """A network normalised to made-up signals, so that its answers depend on what it sees."""
    torch.manual_seed(seed)
    network = Network(width=0.05, **({"dropout": 0.0} | options))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network(30 * torch.randn(8, 1, LENGTH).cumsum(-1))
        network.fc.weight.mul_(3)
    return network.eval()


@pytest.fixture(scope="module")
def members():
    behind = FourierFilter(ring_filters(length=LENGTH)[0], length=LENGTH)
    return [member(0), member(1), member(2, fourier_filter=behind), member(3)]


def test_a_prediction_is_what_its_steps_give(members, tmp_path):
    signal = ecg(2, 300)
    prediction = Ensemble(members, length=LENGTH).predict(write(tmp_path, "r", signal))
    padded = torch.zeros(1, 1, LENGTH)
    padded[0, 0, 150:750] = torch.from_numpy(np.round(1000 * signal))
    with torch.no_grad():
        logits = np.stack([network(padded)[0].numpy() for network in members])  # (member, class)
    each = softmax(logits.astype(float), axis=1)
    mean = each.mean(axis=0)
    information = -(mean * np.log(mean)).sum() + (each * np.log(each)).sum(axis=1).mean()
    assert prediction.member_probabilities == pytest.approx(each, abs=1e-4)
    assert prediction.probabilities == pytest.approx(mean, abs=1e-4)
    assert prediction.mutual_information == pytest.approx(information, abs=1e-4)
    assert prediction.votes.tolist() == np.bincount(logits.argmax(1), minlength=4).tolist()
    # ... and says something
    assert prediction.probabilities.sum() == pytest.approx(1)
    assert prediction.votes.sum() == 4 and prediction.votes.max() < 4
    assert prediction.mutual_information > 0.01


def test_identical_members_share_everything(members, tmp_path):
    path = write(tmp_path, "r", ecg(2, 300))
    prediction = Ensemble([members[0]] * 3, length=LENGTH).predict(str(path))
    assert prediction.mutual_information == pytest.approx(0, abs=1e-9)
    assert sorted(prediction.votes) == [0, 0, 0, 3]


def test_the_logits_are_those_of_the_members(members):
    signals = 200 * torch.randn(5, 1, LENGTH)
    logits = Ensemble(members)(signals)
    assert logits.shape == (4, 5, 4)
    assert torch.equal(logits[2], members[2](signals))


def test_a_record_may_be_given_itself_with_samples_or_millivolts(members, tmp_path):
    path = write(tmp_path, "r", ecg(2, 300))
    ensemble = Ensemble(members, length=LENGTH)
    found = [
        ensemble.predict(record)
        for record in (path, wfdb.rdrecord(str(path)), wfdb.rdrecord(str(path), physical=False))
    ]
    for prediction in found[1:]:
        assert prediction.probabilities == pytest.approx(found[0].probabilities)


@pytest.mark.parametrize(("units", "gain", "factor"), [("uV", 1.0, 1000), ("V", 1e6, 0.001)])
def test_units_are_converted(members, tmp_path, units, gain, factor):
    signal = ecg(2, 300)
    ensemble = Ensemble(members, length=LENGTH)
    expected = ensemble.predict(write(tmp_path, "mv", signal))
    found = ensemble.predict(write(tmp_path, "other", signal * factor, units=units, gain=gain))
    assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-4)


def test_records_are_decimated_and_cut_as_in_training(members, tmp_path):
    # 12,000 samples, 4,000 at 100 Hz, that grow, so that its parts differ
    signal = ecg(40, 300) * np.linspace(0.1, 2, 12_000)
    path = write(tmp_path, "r", signal)
    for cut in ("start", "middle"):
        prediction = Ensemble(members, rate=100, length=LENGTH, cut=cut).predict(path)
        prepared, _, _ = prepare_signal(
            np.round(1000 * signal).astype(np.int16),
            length=LENGTH,
            rate=100,
            cut=cut,
            source_rate=300,
        )
        with torch.no_grad():
            logits = members[1](torch.from_numpy(prepared).float().view(1, 1, -1))
        expected = logits.softmax(1)[0].numpy()
        assert prediction.member_probabilities[1] == pytest.approx(expected, abs=0.02)


def test_a_lead_is_chosen(members, tmp_path):
    signal = ecg(2, 300)
    both = write(tmp_path, "both", np.stack([-2 * signal, signal]))
    ensemble = Ensemble(members, length=LENGTH)
    expected = ensemble.predict(write(tmp_path, "one", signal)).probabilities
    assert ensemble.predict(both, lead=1).probabilities == pytest.approx(expected)
    assert ensemble.predict(both).probabilities != pytest.approx(expected, abs=1e-3)
    assert ensemble.predict(both, lead="lead1").probabilities == pytest.approx(expected)
    for lead in (-1, 2, 0.0, "II"):
        with pytest.raises(
            DataError,
            match=f"both: lead is {lead!r}; accepted are 0 to 1, or the names lead0, lead1",
        ):
            ensemble.predict(both, lead=lead)


def test_members_of_several_leads_are_asked_with_them(tmp_path):
    signal = ecg(2, 500)
    record = wfdb.Record(
        p_signal=np.stack([signal, -signal, 2 * signal], axis=1),
        fs=500,
        units=["mV"] * 3,
        sig_name=["I", "II", "V1"],
    )
    members = [random_network(width=0.05, seed=seed, leads=2) for seed in (0, 1)]
    ensemble = Ensemble(members, rate=125, length=300, source_rate=500, cut="middle")
    found = ensemble.predict(record, lead=["V1", "I"])
    prepared, start, count = prepare_signal(
        1000 * np.stack([2 * signal, signal]), length=300, rate=125, cut="middle", source_rate=500
    )
    assert (start, count) == (25, 250)  # of its own rate, without a detour over 300 Hz
    with torch.no_grad():
        logits = members[1](torch.from_numpy(prepared)[None].float())[0].numpy()
    assert found.member_probabilities[1] == pytest.approx(softmax(logits), abs=1e-5)
    assert ensemble.predict(record, lead=["I", "V1"]).probabilities != pytest.approx(
        found.probabilities, abs=1e-4
    )
    for lead, said in ((0, "0"), (["I"], r"\['I'\]"), (("I", "II", 2), r"\('I', 'II', 2\)")):
        with pytest.raises(ValueError, match=rf"lead is {said} and members\[0\] takes 2 leads"):
            ensemble.predict(record, lead=lead)
    same = ensemble.predict(record, lead=np.array(["V1", "I"]))
    assert np.array_equal(same.probabilities, found.probabilities)


@pytest.mark.parametrize("gain", [1.0, 2.5, 1000])
def test_a_record_is_brought_to_the_unit_of_the_training(tmp_path, gain):
    members = [random_network(width=0.05, seed=0)]
    path = write(tmp_path, "r", ecg(2, 300), gain=20_000.0)
    found = Ensemble(members, length=LENGTH, gain=gain).predict(path)
    prepared, _, _ = prepare_signal(
        (gain * ecg(2, 300)).astype(np.float32),
        length=LENGTH,
        rate=300,
        cut="start",
        source_rate=300,
    )
    with torch.no_grad():
        logits = members[0](torch.from_numpy(prepared)[None, None])[0].numpy()
    assert found.probabilities == pytest.approx(softmax(logits), abs=2e-3)
    plain = Ensemble(members, length=LENGTH).predict(path).probabilities
    assert (found.probabilities == pytest.approx(plain, abs=1e-6)) == (gain == 1000)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"gain": 0}, "gain is 0; accepted are values above 0"),
        ({"gain": "mV"}, "gain is 'mV'; accepted are values above 0"),
        ({"source_rate": 10**9, "rate": 10**9}, "source_rate is 1000000000; accepted is a rate"),
        ({"source_rate": True, "rate": True}, "source_rate is True; accepted is a rate above 0 Hz"),
    ],
)
def test_a_unit_and_a_rate_are_numbers(members, option, message):
    with pytest.raises(ValueError, match=message):
        Ensemble(members, **option)


def test_a_path_may_end_in_that_of_the_header(members, tmp_path):
    path = write(tmp_path, "a", ecg(2, 300))
    ensemble = Ensemble(members, length=LENGTH)
    expected = ensemble.predict(path).probabilities
    assert np.array_equal(ensemble.predict(f"{path}.hea").probabilities, expected)
    with pytest.raises(DataError, match="/nowhere: cannot be read"):
        ensemble.predict(tmp_path / "nowhere.hea")


def test_an_array_is_classified_as_a_record(members, tmp_path):
    signal = ecg(4, 500)
    ensemble = Ensemble(members, length=LENGTH)
    expected = ensemble.predict(write(tmp_path, "r", signal, rate=500, gain=20_000.0))
    # As the docstring says.
    record = wfdb.Record(p_signal=signal[:, None], fs=500, units=["mV"], sig_name=["II"])
    assert "wfdb.Record(p_signal=signal[:, None], fs=500, units" in Ensemble.predict.__doc__
    for lead in (0, "II"):
        found = ensemble.predict(record, lead=lead)
        assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-3)
    for array in (signal, torch.from_numpy(signal), signal.tolist()):
        with pytest.raises(DataError, match="record is of type .*; accepted are the path .*Record"):
            ensemble.predict(array)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"units": None},
            "the record: units is None; accepted is a list of 1, a unit a lead, each of .*'mV'",
        ),
        ({"units": ["mV", "mV"]}, r"units is \['mV', 'mV'\]; accepted is a list of 1, "),
        ({"fs": None}, "the record: fs is None; accepted is a rate above 0 Hz"),
        ({"fs": 0}, "the record: fs is 0; accepted"),
        ({"fs": 500_000}, "fs is 500000; accepted is a rate above 0 Hz, 100000 Hz at most"),
        ({"fs": float("nan")}, "the record: fs is nan; accepted"),
        ({"fs": float("inf")}, "the record: fs is inf; accepted"),
        ({"fs": "500"}, "the record: fs is '500'; accepted"),
        ({"p_signal": ecg(2, 300)}, r"its signal has shape \(600,\); accepted is \(time, lead\)"),
        ({"p_signal": ecg(2, 300)[:299, None]}, "lasts 0.997 s; accepted is 1 s at least, as a"),
        ({"p_signal": np.zeros((0, 1))}, "the record lasts 0 s; accepted is 1 s at least"),
        ({"sig_name": None}, "the record: lead is 'II'; accepted are 0 to 0, or a sequence"),
    ],
)
def test_records_made_of_arrays_are_checked(members, change, message):
    whole = {"p_signal": ecg(2, 300)[:, None], "fs": 300, "units": ["mV"], "sig_name": ["II"]}
    ensemble = Ensemble(members, length=LENGTH)
    ensemble.predict(wfdb.Record(**whole), lead="II")
    with pytest.raises(DataError, match=message):
        ensemble.predict(wfdb.Record(**{**whole, **change}), lead="II")


def test_a_second_is_enough(members):
    record = wfdb.Record(p_signal=ecg(1, 250)[:, None], fs=250, units=["mV"], sig_name=["II"])
    assert Ensemble(members, length=LENGTH).predict(record).votes.sum() == len(members)


def test_the_classes_are_named_where_a_prediction_is_described():
    for place, name in enumerate(SHORT_CLASS_NAMES):
        assert f"{place}: {name}, " in " ".join(Prediction.__doc__.split())


def test_records_that_cannot_be_used_are_refused(members, tmp_path):
    ensemble = Ensemble(members, length=LENGTH)
    signal = ecg(2, 300)
    with pytest.raises(DataError, match="nowhere: cannot be read"):
        ensemble.predict(tmp_path / "nowhere")
    with pytest.raises(DataError, match="the unit of lead 0 is 'mmHg'"):
        ensemble.predict(write(tmp_path, "pressure", signal, units="mmHg"))
    header = wfdb.rdheader(str(write(tmp_path, "header", signal)))
    with pytest.raises(DataError, match="header: neither p_signal nor d_signal is there"):
        ensemble.predict(header)
    signal[100] = np.nan
    with pytest.raises(DataError, match="gap: sample 100 of lead 0 is nan"):
        ensemble.predict(write(tmp_path, "gap", signal))


class Threshold(torch.nn.Module):
    """Class 1 where the mean passes a level: a member without parameters, such as a control."""

    def forward(self, signals):
        level = signals.mean((1, 2))  # (batch,)
        return torch.stack([torch.zeros_like(level), level], dim=1)


def test_members_may_be_without_parameters(tmp_path):
    ensemble = Ensemble([Threshold(), Threshold()], length=LENGTH)
    prediction = ensemble.predict(write(tmp_path, "r", ecg(2, 300)))
    assert prediction.votes.tolist() == [0, 2]


def test_an_ensemble_is_pickled_whole(members, tmp_path):
    ensemble = Ensemble(members, rate=100, length=LENGTH, cut="middle").eval()
    other = pickle.loads(pickle.dumps(ensemble))
    assert (other.rate, other.length, other.cut) == (100, LENGTH, "middle")
    path = write(tmp_path, "r", ecg(2, 300))
    expected = ensemble.predict(path).member_probabilities
    assert np.array_equal(other.predict(path).member_probabilities, expected)


def test_an_ensemble_has_members():
    for option, message in ({"rate": 130}, "rate is 130"), ({"cut": "end"}, "cut is 'end'"):
        with pytest.raises(ValueError, match=message):
            Ensemble([member(0)], **option)
    with pytest.raises(ValueError, match="members is empty"):
        Ensemble([])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(LENGTH, 2)), "members is of type Sequential; acc"),
        (nn.Linear(LENGTH, 2), "members is of type Linear; accepted is a sequence of networks"),
        ("fdec", "members is of type str; accepted is a sequence"),
        (None, "members is of type NoneType; accepted is a sequence"),
        (["a.pt"], r"members\[0\] is of type str; accepted is a torch.nn.Module"),
    ],
)
def test_members_are_a_sequence_of_networks(wrong, message):
    with pytest.raises(ValueError, match=message):
        Ensemble(wrong)


def test_a_length_is_whole(members):
    with pytest.raises(ValueError, match="length is 900.0; accepted are whole numbers from 1"):
        Ensemble(members, length=900.0)


def linear(classes, *, leads=1):
    """A classifier of one's own."""
    pooled = (nn.AdaptiveAvgPool1d(1), nn.Flatten())
    return nn.Sequential(nn.Conv1d(leads, 2, 5), *pooled, nn.Linear(2, classes)).eval()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (linear(5), r"members\[1\] tells 5 classes apart and members\[0\] 2; .* the same classes"),
        (linear(1), r"members\[1\] gives logits of shape \(1, 1\) .* two classes at least"),
        (linear(2, leads=12), r"accepted by .* of members\[1\] is \(batch, 12, time\)"),
        (linear(2).double(), r"signals have type torch.float32 and the parameters of members\[1\]"),
    ],
)
def test_members_that_cannot_answer_together_are_named(wrong, message):
    record = wfdb.Record(p_signal=ecg(2, 300)[:, None], fs=300, units=["mV"], sig_name=["II"])
    Ensemble([linear(2), linear(2)], length=LENGTH).predict(record)
    with pytest.raises(ValueError, match=message):
        Ensemble([linear(2), wrong], length=LENGTH).predict(record)


def test_modes_are_left_as_they_were(members, tmp_path):
    training = member(7, dropout=0.5).train()
    training.bn1.eval()  # as one does who trains on with a frozen normalisation
    ensemble = Ensemble([members[0], training], length=LENGTH)
    path = write(tmp_path, "r", ecg(2, 300))
    before = [tensor.clone() for tensor in training.state_dict().values()]
    first, second = ensemble.predict(path), ensemble.predict(path)
    assert first.probabilities == pytest.approx(second.probabilities, abs=0)  # no dropout
    assert training.training and training.bn3.training and not training.bn1.training
    assert ensemble.training, "a module of one's own is in training mode until it is told"
    assert not members[0].training
    after = training.state_dict().values()
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_modes_are_left_as_they_were_by_what_fails(members, tmp_path, monkeypatch):
    ensemble = Ensemble([member(7).train()], length=LENGTH)

    def fails(signals):
        raise RuntimeError("no memory")

    monkeypatch.setattr(ensemble.members[0], "forward", fails)
    with pytest.raises(RuntimeError, match="no memory"):
        ensemble.predict(write(tmp_path, "r", ecg(2, 300)))
    assert ensemble.members[0].training and ensemble.training


@pytest.mark.parametrize("micro", ["\u00b5", "\u03bc"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_unit_that_wfdb_would_read_as_a_million_times_as_much_is_refused(
    members, tmp_path, micro, encoding
):
    path = write(tmp_path, "r", 1000 * ecg(2, 300), units="uV", gain=1.0)
    header = path.with_suffix(".hea")
    text = header.read_text().replace("uV", f"{micro}V") + "# Größe\n"
    header.write_bytes(text.encode(encoding, errors="replace").replace(b"?V", b"\xb5V"))
    with pytest.raises(DataError, match="not ASCII; accepted is ASCII, with the unit uV"):
        Ensemble(members, length=LENGTH).predict(path)
    header.write_bytes(text.replace(f"{micro}V", "uV").encode(encoding))
    Ensemble(members, length=LENGTH).predict(path)  # comments may hold anything
