# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading weights: what fits is loaded and told, too little is an error, and bands go by their names."""

import json
from collections import OrderedDict
from datetime import datetime
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from timo.errors import ModelError
from timo.models import TiMoEncoder, TiMoSegmenter
from timo.models.registry import VARIANTS, segmenter
from timo.models.weights import adapt_stem, load_weights, read_weights

RGB = ("blue", "green", "red")
RGBN = ("blue", "green", "red", "nir")


def differing(model, other):
    """Names of the tensors in which two models of one shape differ."""
    theirs = other.state_dict()
    return {name for name, tensor in model.state_dict().items() if not tensor.equal(theirs[name])}


def with_statistics(model):
    """A model whose running statistics and zero-initialised biases are no longer those of every new model."""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.rand(tensor.shape) * 0.1)
    return model


@pytest.fixture
def trained(small):
    return with_statistics(TiMoSegmenter(num_classes=6, head_channels=8, **small))


def test_weights_of_the_same_model_are_loaded_whole(trained, small):
    model = TiMoSegmenter(num_classes=6, head_channels=8, **small)
    report = load_weights(model, trained.state_dict(), source="forest.safetensors")
    assert differing(model, trained) == set()
    assert report.share == 1.0
    assert set(report.loaded) == set(model.state_dict())
    assert report.missing == report.unexpected == report.mismatched == ()
    assert report.stem.how == "loaded"
    assert report.sentence() == "100 % of the encoder were loaded from forest.safetensors."


@pytest.mark.parametrize("alone", [False, True])
def test_an_encoders_weights_are_found_with_and_without_the_head(trained, small, alone):
    state = trained.encoder.state_dict() if alone else trained.state_dict()
    encoder = TiMoEncoder(**small)
    report = load_weights(encoder, state)
    assert differing(encoder, trained.encoder) == set()
    assert report.share == 1.0
    assert bool(report.unexpected) is not alone
    assert all(name.startswith(("head.", "classifier.")) for name in report.unexpected)


def test_an_encoders_weights_go_into_a_segmenter_whose_head_starts_anew(trained, small):
    model = TiMoSegmenter(num_classes=3, head_channels=8, **small)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    report = load_weights(model, trained.encoder.state_dict())
    assert differing(model.encoder, trained.encoder) == set()
    heads = {name for name in before if not name.startswith("encoder.")}
    assert set(report.missing) == heads
    assert all(model.state_dict()[name].equal(before[name]) for name in heads)
    assert "learned from nothing: head, classifier" in report.sentence()


def test_another_number_of_classes_is_told_and_its_layer_keeps_its_initial_values(trained, small):
    model = TiMoSegmenter(num_classes=3, head_channels=8, **small)
    initial = model.classifier.weight.clone()
    report = load_weights(model, trained.state_dict())
    assert report.mismatched == (
        ("classifier.weight", (6, 8, 1, 1), (3, 8, 1, 1)),
        ("classifier.bias", (6,), (3,)),
    )
    assert model.classifier.weight.equal(initial)
    assert differing(model.head, trained.head) == set()
    assert report.share == 1.0
    assert report.sentence().endswith("learned from nothing: classifier.")


def test_pre_training_with_full_attention_everywhere_leaves_the_gyroscopes_scalar_out(small):
    pretrained = with_statistics(TiMoEncoder(**{**small, "attention": ("full",) * 4}))
    encoder = TiMoEncoder(**small)
    report = load_weights(encoder, pretrained.state_dict())
    assert report.share > 0.99
    assert report.missing
    assert all(".attn.differential." in name for name in report.missing)
    assert "stages.0.blocks.0.attn.differential" in report.sentence()


def test_weights_of_another_variant_are_refused_with_both_widths():
    small = segmenter("timo_small", num_classes=2, in_chans=3).state_dict()
    tiny = segmenter("timo_tiny", num_classes=2, in_chans=3)
    before = {name: tensor.clone() for name, tensor in tiny.state_dict().items()}
    with pytest.raises(ModelError) as caught:
        load_weights(tiny, small, source="small.pth")
    assert caught.value.code == "weights_do_not_fit"
    assert caught.value.message == (
        "0.0 % of the encoder are in small.pth, and 80 % are needed: the stages have 64-128-256-512 channels "
        "in the weights and 32-64-96-128 in the model."
    )
    assert caught.value.action
    assert json.dumps(caught.value.detail)
    assert all(tensor.equal(before[name]) for name, tensor in tiny.state_dict().items())


def test_weights_with_fewer_blocks_are_refused_with_both_depths(small):
    state = TiMoEncoder(**{**small, "depths": (1, 1, 1, 1)}).state_dict()
    with pytest.raises(ModelError, match="1-1-1-1 blocks in the weights and 2-1-6-1 in the model"):
        load_weights(TiMoEncoder(**{**small, "depths": (2, 1, 6, 1)}), state)


def test_weights_whose_mlps_are_wider_are_refused_with_the_first_layer_that_differs(small):
    state = TiMoEncoder(**{**small, "mlp_ratios": (8, 8, 8, 8)}).state_dict()
    with pytest.raises(ModelError, match=r"stages.0.blocks.0.mlp.fc1.weight is 128 x 16 .* 64 x 16"):
        load_weights(TiMoEncoder(**small), state)


def test_weights_under_published_names_are_refused_with_what_to_call_first(small):
    with pytest.raises(ModelError) as caught:
        load_weights(TiMoEncoder(**small), {"patch_embed1.conv.0.weight": torch.zeros(16, 4, 7, 7)})
    assert "'patch_embed1.conv.0.weight'" in caught.value.message
    assert "convert_state_dict" in caught.value.action


def test_half_of_an_encoder_is_too_little_unless_asked_for(trained, small):
    half = {name: tensor for name, tensor in trained.state_dict().items() if "encoder.stages.3" not in name}
    model = TiMoEncoder(**small)
    with pytest.raises(ModelError, match="16-32-40-none channels in the weights"):
        load_weights(model, half)
    report = load_weights(model, half, least=0.5)
    assert 0.5 < report.share < 0.8
    lost = {name for name in trained.encoder.state_dict() if name.startswith("stages.3")}
    assert set(report.missing) == lost


def test_as_published_anything_loads_and_the_report_alone_tells(small):
    report = load_weights(TiMoEncoder(**small), {"fc.weight": torch.zeros(2, 2)}, least=0.0)
    assert report.share == 0.0
    assert report.unexpected == ("fc.weight",)
    assert report.stem.how == "missing"
    assert report.sentence().startswith("0.0 % of the encoder")


def test_the_share_is_of_parameters_and_not_of_names(small):
    """One large stage counts more than many small tensors."""
    encoder = TiMoEncoder(**small)
    state = {n: t for n, t in encoder.state_dict().items() if n != "stages.3.blocks.0.mlp.fc1.weight"}
    left_out = encoder.stages[3].blocks[0].mlp.fc1.weight.numel()
    total = sum(parameter.numel() for parameter in encoder.parameters())
    assert load_weights(encoder, state).share == pytest.approx(1 - left_out / total)


def test_the_report_is_json(trained, small):
    report = load_weights(TiMoEncoder(**small), trained.state_dict(), bands=RGBN, from_bands=RGBN)
    told = json.loads(json.dumps(report.to_dict()))
    assert told["stem"] == {"how": "loaded", "kept": list(RGBN), "new": []}
    assert told["sentence"] == report.sentence()


def test_a_model_without_an_encoder_is_refused():
    with pytest.raises(ModelError, match="Linear has no TiMo encoder"):
        load_weights(torch.nn.Linear(2, 2), {})


# Bands ----------------------------------------------------------------------------------------------------


def test_new_bands_start_from_the_mean_and_known_ones_keep_their_filters(trained, small):
    bands = ("vv", "red", "swir1", "blue", "nir")
    model = TiMoEncoder(**{**small, "in_chans": 5})
    report = load_weights(model, trained.state_dict(), bands=bands, from_bands=RGBN)
    ours, theirs = model.embeds[0].conv1.weight, trained.encoder.embeds[0].conv1.weight
    for i, source in ((1, 2), (3, 0), (4, 3)):
        assert ours[:, i].equal(theirs[:, source])
    for i in (0, 2):
        torch.testing.assert_close(ours[:, i], theirs.mean(1))
    assert (report.stem.how, report.stem.kept, report.stem.new) == (
        "adapted",
        ("red", "blue", "nir"),
        ("vv", "swir1"),
    )
    new = 2 * 16 * 7 * 7
    assert report.share == pytest.approx(1 - new / sum(p.numel() for p in model.parameters()))
    assert "new bands start from the mean of the known ones' filters: vv, swir1" in report.sentence()


def test_the_same_bands_in_another_order_give_the_same_features(trained, small):
    model = TiMoEncoder(**small).eval()
    load_weights(model, trained.state_dict(), bands=("nir", "blue", "red", "green"), from_bands=RGBN)
    series = torch.randn(1, 2, 4, 32, 32)
    with torch.no_grad():
        ours, theirs = model(series[:, :, [3, 0, 2, 1]]), trained.encoder.eval()(series)
    for one, other in zip(ours, theirs):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("in_chans", "names", "words"),
    [
        (5, {}, "The weights are for 4 bands and the model takes 5, and neither are named."),
        (4, {"bands": RGBN}, "those of the weights are not named"),
        (4, {"from_bands": RGBN}, "those of the model are not named"),
        (3, {"bands": RGB}, "those of the weights are not named"),
        (4, {"bands": RGB, "from_bands": RGBN}, "3 bands of the model are named .* and there are 4"),
        (3, {"bands": RGB, "from_bands": RGB}, "3 bands of the weights are named .* and there are 4"),
        (3, {"bands": ("vv", "red", "vv"), "from_bands": RGBN}, "vv comes more than once"),
        (3, {"bands": RGB, "from_bands": ("red", "red", "nir", "blue")}, "red comes more than once"),
    ],
)
def test_bands_that_cannot_be_matched_are_an_error_and_change_nothing(trained, small, in_chans, names, words):
    model = TiMoEncoder(**{**small, "in_chans": in_chans})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ModelError, match=words) as caught:
        load_weights(model, trained.state_dict(), **names)
    assert caught.value.code == "stem_bands"
    assert caught.value.action
    assert all(tensor.equal(before[name]) for name, tensor in model.state_dict().items())


def test_as_published_the_stem_starts_anew_where_the_number_of_bands_differs(trained, small):
    model = TiMoEncoder(**{**small, "in_chans": 5})
    initial = model.embeds[0].conv1.weight.clone()
    report = load_weights(model, trained.state_dict(), stem="reset")
    assert model.embeds[0].conv1.weight.equal(initial)
    assert report.stem.how == "reset"
    assert report.mismatched == (("embeds.0.conv1.weight", (16, 4, 7, 7), (16, 5, 7, 7)),)
    assert "filters that see the bands are learned from nothing" in report.sentence()
    same = TiMoEncoder(**small)
    assert load_weights(same, trained.state_dict(), stem="reset").stem.how == "loaded"
    assert differing(same, trained.encoder) == set()


def test_an_unknown_way_with_the_stem_is_refused(trained, small):
    with pytest.raises(ModelError, match="'inflate'"):
        load_weights(TiMoEncoder(**small), trained.state_dict(), stem="inflate")


def test_two_sensors_bands_of_one_role_are_told_apart_by_their_names():
    weight = torch.randn(4, 2, 7, 7)
    wanted = adapt_stem(weight, ("sentinel-2 red", "landsat-8 red"), ("landsat-8 red", "sentinel-2 red"))
    assert wanted.equal(weight.flip(1))


some_bands = st.lists(st.sampled_from([*RGBN, "swir1", "swir2", "vv", "vh"]), min_size=1, unique=True)


@given(some_bands, some_bands)
def test_every_band_gets_its_own_filters_or_the_mean(source, wanted):
    weight = torch.arange(2.0 * len(source) * 49).view(2, len(source), 7, 7)
    adapted = adapt_stem(weight, source, wanted)
    assert adapted.shape == (2, len(wanted), 7, 7)
    for i, name in enumerate(wanted):
        expected = weight[:, source.index(name)] if name in source else weight.mean(1)
        assert adapted[:, i].equal(expected)


@given(some_bands.flatmap(lambda names: st.tuples(st.just(names), st.permutations(names))))
def test_reordering_bands_and_back_changes_nothing(orders):
    source, shuffled = orders
    weight = torch.arange(49.0 * len(source)).view(1, len(source), 7, 7)
    assert adapt_stem(adapt_stem(weight, source, shuffled), shuffled, source).equal(weight)


@given(some_bands, st.data())
def test_a_stem_for_fewer_bands_sees_those_as_before(source, data):
    """A frame in which the other bands are 0 gives the same tokens with and without them."""
    kept = data.draw(st.lists(st.sampled_from(source), min_size=1, unique=True))
    weight = torch.arange(2.0 * len(source) * 49).view(2, len(source), 7, 7) % 11
    frame = torch.arange(64.0 * len(kept)).view(1, len(kept), 8, 8) % 5
    whole = torch.zeros(1, len(source), 8, 8)
    whole[:, [source.index(name) for name in kept]] = frame
    torch.testing.assert_close(
        torch.conv2d(frame, adapt_stem(weight, source, kept)), torch.conv2d(whole, weight)
    )


def test_a_model_for_no_bands_is_refused():
    with pytest.raises(ModelError, match="0 bands of the model"):
        adapt_stem(torch.zeros(2, 3, 7, 7), RGB, ())


# Files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("within", [(), ("state_dict",), ("model",), ("model", "state_dict")])
def test_weights_are_read_from_what_torch_saved(tmp_path, small, within):
    state = content = TiMoEncoder(**small).state_dict()
    for name in within:
        content = {name: content, "epoch": 3}
    torch.save(content, tmp_path / "weights.pth")
    read = read_weights(tmp_path / "weights.pth")
    assert list(read) == list(state)
    assert all(read[name].equal(tensor) for name, tensor in state.items())


def test_weights_are_read_from_safetensors(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "weights.safetensors")
    assert read_weights(str(tmp_path / "weights.safetensors"))["a"].equal(torch.ones(2))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"epoch": 3, "net": OrderedDict(a=torch.ones(1))}, "holds epoch, net"),
        ([torch.ones(1)], "is no state dict"),
        ({}, "is no state dict"),
        ({"state_dict": {"lr": 0.1}}, "holds lr"),
    ],
)
def test_a_file_without_a_state_dict_is_refused_with_what_it_holds(tmp_path, content, words):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=rf"other\.pth.*{words}"):
        read_weights(tmp_path / "other.pth")


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
@pytest.mark.parametrize("content", [b"", b"no weights", bytes(range(256)) * 4])
def test_a_damaged_file_is_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name} can't be read") as caught:
        read_weights(tmp_path / name)
    assert caught.value.code == "weights_unreadable"


def test_a_file_that_holds_objects_is_refused_and_runs_nothing(tmp_path):
    class Runs:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    torch.save(
        {"state_dict": {"a": torch.ones(1)}, "when": datetime(2026, 1, 1), "bad": Runs()}, tmp_path / "a.pth"
    )
    with pytest.raises(ModelError, match=r"a\.pth can't be read"):
        read_weights(tmp_path / "a.pth")
    assert not (tmp_path / "ran").exists()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.pth"):
        read_weights(tmp_path / "gone.pth")


@pytest.mark.parametrize("names", list(pairwise(VARIANTS)))
def test_a_variants_weights_are_told_from_the_next_ones(names):
    with torch.device("meta"):
        state, other = (TiMoEncoder(**VARIANTS[name]) for name in names)
        with pytest.raises(ModelError, match="channels in the weights"):
            load_weights(other, state.state_dict())


def test_a_few_missing_tensors_of_the_right_sizes_are_counted(small):
    encoder = TiMoEncoder(**small)
    state = {name: tensor for name, tensor in encoder.state_dict().items() if ".mlp." not in name}
    with pytest.raises(ModelError, match=r"24 of the model's \d+ tensors are not in them"):
        load_weights(encoder, state)
