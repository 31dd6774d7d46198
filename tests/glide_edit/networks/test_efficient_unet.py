"""The Efficient U-Net as guidance and training see it: tiny, and random where training starts at zero."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from glide_edit.conditioning import Conditioning, TextStates
from glide_edit.diffusion.schedule import Schedule, per_image
from glide_edit.errors import InputError
from glide_edit.models import records
from glide_edit.networks.efficient_unet import (
    PLACE_WAVES,
    EfficientUNet,
    EfficientUNetConfig,
    TextAttention,
    places,
)

SCHEDULE = Schedule.cosine()
TEXT_WIDTH = 12
BASE = EfficientUNetConfig(
    image_size=16,
    channels=(16, 32),
    blocks=(1, 2),
    attention=(False, True),
    head_width=16,
    embedding_width=32,
    text_width=TEXT_WIDTH,
    known=True,
    drawing=True,
)
UPSAMPLER = replace(BASE, text_width=0, attention=(False, False), drawing=False, low_res=True)
EVERYTHING = replace(BASE, low_res=True)


def make(config: EfficientUNetConfig = BASE, schedule: Schedule = SCHEDULE) -> EfficientUNet:
    """A network whose zero-initialised parts are random too: as it starts it answers 0 to everything."""
    torch.manual_seed(1)
    network = EfficientUNet(config, schedule)
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.2)
    return network.eval()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def text(lengths: list[int], padded_to: int | None = None, seed: int = 3) -> TextStates:
    """States of random prompts of so many tokens, zeros beyond."""
    length = padded_to or max(lengths)
    token_mask = torch.arange(length)[None] < torch.tensor(lengths)[:, None]
    states = noise(len(lengths), max(lengths), TEXT_WIDTH, seed=seed)
    states = torch.cat([states, torch.zeros(len(lengths), length - max(lengths), TEXT_WIDTH)], dim=1)
    return TextStates(states * token_mask[:, :, None], token_mask)


def given(batch: int = 2, size: int = 16, low_res: bool = False) -> Conditioning:
    """Every condition a network may have."""
    keep_mask = (noise(batch, 1, size, size, seed=4) > 0).float()
    return Conditioning(
        text=text([5] * batch),
        known=noise(batch, 3, size, size, seed=5) * keep_mask,
        keep_mask=keep_mask,
        drawing=noise(batch, 1, size, size, seed=6).sign(),
        low_res=noise(batch, 3, size // 4, size // 4, seed=7) if low_res else None,
        low_res_noise=torch.full((batch,), 0.2) if low_res else None,
    )


@torch.no_grad()
def answer(network: EfficientUNet, condition: Conditioning, t: float = 600.0, size: int = 16) -> Tensor:
    return network.predict(noise(2, 3, size, size), torch.full((2,), t), [condition])[0].x0


SHAPES = [
    ({"patch": 1}, (16, 16)),
    ({"patch": 4, "channels": (24, 40), "head_width": 20}, (24, 16)),
    ({"channels": (16, 16, 48), "blocks": (0, 2, 1), "attention": (False, True, False)}, (8, 24)),
    ({"channels": (32,), "blocks": (1,), "attention": (True,)}, (6, 10)),
    ({"channels": (16, 32), "blocks": (1, 0), "attention": (True, True)}, (4, 4)),
    ({"blocks": (1, 1), "attention": (True, True)}, (8, 4)),
    ({"text_width": 0, "known": False, "drawing": False}, (40, 8)),
]


@pytest.mark.parametrize(("changes", "size"), SHAPES)
def test_pictures_of_any_multiple_of_the_stride_keep_their_shape(changes: Any, size: tuple[int, int]) -> None:
    network = make(replace(BASE, **changes))
    x_t = noise(2, 3, *size)
    first, second = network.predict(
        x_t, torch.tensor([10.0, 900.0]), [Conditioning(text=text([3, 4])), Conditioning()]
    )
    for prediction in (first, second):
        assert prediction.x0.shape == x_t.shape
        assert prediction.x0.dtype == torch.float32
        assert prediction.x0.isfinite().all()
    assert torch.equal(first.x0, second.x0) == (network.config.text_width == 0)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"blocks": (1,)}, "one entry for each level"),
        ({"channels": (), "blocks": (), "attention": ()}, "one entry for each level"),
        ({"patch": 0}, "must be 1 or more"),
        ({"channels": (16, -16)}, "must be 1 or more"),
        ({"blocks": (1, -1)}, "must be 1 or more"),
        ({"embedding_width": 30}, "embedding_width"),
        ({"prediction": "x0"}, "prediction"),
        ({"channels": (16, 28)}, "multiple of 16"),
        ({"head_width": 64}, "heads of 64"),
        ({"image_size": 18}, "multiple of 4"),
    ],
)
def test_an_impossible_configuration_is_refused(changes: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        replace(BASE, **changes)


def test_a_configuration_comes_back_from_json() -> None:
    lists = {**vars(BASE), "channels": [16, 32], "blocks": [1, 2], "attention": [False, True]}
    assert records.into(EfficientUNetConfig, lists, "config") == BASE


def test_names_and_shapes_of_parameters_stay() -> None:
    # Recorded when this was written: a change here makes every trained model unreadable.
    network = EfficientUNet(EVERYTHING, SCHEDULE)
    lines = "\n".join(f"{name} {list(value.shape)}" for name, value in sorted(network.state_dict().items()))
    assert hashlib.sha256(lines.encode()).hexdigest()[:16] == "adf5847427d4e1bd"


@pytest.mark.parametrize(
    ("config", "channels"),
    [
        (replace(BASE, known=False, drawing=False), 3),
        (replace(BASE, known=False), 4),
        (BASE, 8),
        (UPSAMPLER, 10),
        (EVERYTHING, 11),
    ],
)
def test_conditions_are_input_channels_only_where_declared(
    config: EfficientUNetConfig, channels: int
) -> None:
    assert config.input_channels == channels
    network = make(config)
    assert network.stem.in_channels == channels * config.patch**2
    full = given(low_res=config.low_res)
    reference = answer(network, full)
    declared = {
        "known": config.known,
        "keep_mask": config.known,
        "drawing": config.drawing,
        "text": config.text_width > 0,
    }
    for name, counts in declared.items():
        assert torch.equal(answer(network, replace(full, **{name: None})), reference) != counts, name


def test_an_upsampler_reads_the_picture_and_its_noise() -> None:
    network = make(UPSAMPLER)
    full = given(low_res=True)
    reference = answer(network, full)
    assert full.low_res is not None
    assert not torch.equal(answer(network, replace(full, low_res=-full.low_res)), reference)
    assert not torch.equal(answer(network, replace(full, low_res_noise=torch.full((2,), 0.3))), reference)
    no_noise = answer(network, replace(full, low_res_noise=torch.zeros(2)))
    assert torch.equal(answer(network, replace(full, low_res_noise=None)), no_noise)


def test_the_low_resolution_picture_may_have_any_size() -> None:
    network, full = make(UPSAMPLER), given(low_res=True)
    even = torch.full((2, 3, 1, 1), 0.25)
    assert torch.allclose(
        answer(network, replace(full, low_res=even)),
        answer(network, replace(full, low_res=even.expand(2, 3, 5, 7))),
        atol=1e-5,
    )


BRANCHES = {
    "text": Conditioning(text=text([5, 2])),
    "longer text": Conditioning(text=text([9, 7], seed=8)),
    "padded text": Conditioning(text=text([1, 3], padded_to=6, seed=9)),
    "nothing": Conditioning(),
    "known": replace(given(), text=None, drawing=None),
    "everything": given(),
    "drawing": replace(given(), known=None, keep_mask=None),
}


@pytest.mark.parametrize(
    "names",
    [
        ["text", "nothing"],
        ["nothing", "text"],
        ["longer text", "text", "padded text"],
        ["everything", "nothing", "known", "drawing", "longer text"],
        ["nothing", "nothing"],
        ["known", "known"],
    ],
)
@pytest.mark.parametrize("prepared", [False, True])
@torch.no_grad()
def test_branches_together_answer_as_each_alone(names: list[str], prepared: bool) -> None:
    network = make()
    x_t, t = noise(2, 3, 16, 16), torch.tensor([30.5, 800.0])
    branches = [BRANCHES[name] for name in names]
    alone = [network.predict(x_t, t, [branch])[0].x0 for branch in branches]
    together = network.predict(x_t, t, [network.prepare(b) for b in branches] if prepared else branches)
    assert len(together) == len(names)
    for name, one, prediction in zip(names, alone, together, strict=True):
        assert torch.allclose(prediction.x0, one, atol=1e-5), name


@torch.no_grad()
def test_upsampler_branches_together_answer_as_each_alone() -> None:
    network = make(EVERYTHING)
    x_t, t = noise(2, 3, 16, 16), torch.full((2,), 500.0)
    full = given(low_res=True)
    branches = [full, replace(full, text=None, low_res_noise=None), replace(full, known=None, keep_mask=None)]
    for branch, prediction in zip(branches, network.predict(x_t, t, branches), strict=True):
        assert torch.allclose(prediction.x0, network.predict(x_t, t, [branch])[0].x0, atol=1e-5)


@torch.no_grad()
def test_preparing_changes_nothing_but_the_work() -> None:
    network = make()
    condition = given()
    prepared = network.prepare(condition)
    assert prepared.text is not None
    assert prepared.text.keys_values is not None
    assert len(prepared.text.keys_values) == len(network.attention_layers()) == 5
    assert network.prepare(prepared) is prepared
    assert torch.equal(answer(network, prepared), answer(network, condition))
    # The prepared keys and values are what is used: with others the answer is another.
    spoilt = replace(prepared.text, keys_values=tuple(-kv for kv in prepared.text.keys_values))
    assert not torch.equal(answer(network, replace(prepared, text=spoilt)), answer(network, condition))


@pytest.mark.parametrize("prepared", [False, True])
@torch.no_grad()
def test_padding_is_never_read(prepared: bool) -> None:
    network = make()
    clean = text([4, 2], padded_to=7)
    garbage = replace(clean, states=torch.where(clean.token_mask[:, :, None], clean.states, 50.0))
    conditions = [Conditioning(text=states) for states in (text([4, 2]), clean, garbage)]
    if prepared:
        conditions = [network.prepare(condition) for condition in conditions]
    short, padded, spoilt = (answer(network, condition) for condition in conditions)
    assert torch.allclose(short, padded, atol=1e-5)
    assert torch.allclose(padded, spoilt, atol=1e-5)
    # And real tokens are: the same garbage under a mask that says "real" shows.
    read = replace(garbage, token_mask=torch.ones_like(clean.token_mask))
    assert not torch.allclose(answer(network, Conditioning(text=read)), padded, atol=1e-2)


def test_a_prompt_of_padding_only_is_no_prompt() -> None:
    network = make()
    nothing = replace(text([3, 3]), token_mask=torch.zeros(2, 3, dtype=torch.bool))
    silent = answer(network, Conditioning(text=nothing))
    assert silent.isfinite().all()
    assert torch.allclose(silent, answer(network, Conditioning()), atol=1e-5)


@torch.no_grad()
def test_images_of_a_batch_do_not_see_each_other() -> None:
    network = make(EVERYTHING)
    x_t, t, full = noise(2, 3, 16, 16), torch.tensor([100.0, 700.0]), given(low_res=True)
    together = network.predict(x_t, t, [full])[0].x0
    for k in range(2):
        assert full.text is not None
        one = Conditioning(
            text=TextStates(full.text.states[k : k + 1], full.text.token_mask[k : k + 1]),
            **{n: v[k : k + 1] for n, v in vars(full).items() if isinstance(v, Tensor)},
        )
        alone = network.predict(x_t[k : k + 1], t[k : k + 1], [one])[0].x0
        assert torch.allclose(together[k : k + 1], alone, atol=1e-5)


@pytest.mark.parametrize(
    "config",
    [
        replace(EVERYTHING, positions=True),
        UPSAMPLER,
        replace(BASE, channels=(32,), blocks=(1,), attention=(True,)),
    ],
)
def test_gradients_reach_every_parameter_and_the_picture(config: EfficientUNetConfig) -> None:
    network = make(config)
    x_t = noise(2, 3, 16, 16).requires_grad_()
    prediction = network.predict(x_t, torch.tensor([200.0, 600.0]), [given(low_res=config.low_res)])[0]
    (prediction.x0 * noise(2, 3, 16, 16, seed=11)).sum().backward()
    assert x_t.grad is not None
    assert x_t.grad.abs().min() > 0
    dead = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_cells_are_told_where_they_are() -> None:
    found = places(3, 5, torch.device("cpu")).reshape(3, 5, 4 * PLACE_WAVES)
    across, down = found[..., : 2 * PLACE_WAVES], found[..., 2 * PLACE_WAVES :]
    assert torch.equal(across, across[:1].expand_as(across))
    assert torch.equal(down, down[:, :1].expand_as(down))
    assert torch.allclose(across[0, :, 0], torch.sin(torch.linspace(-0.8, 0.8, 5) * torch.pi / 2))
    assert across[0, :, 0].diff().min() > 0  # from left to right
    assert down[:, 0, 0].diff().min() > 0  # from top to bottom
    assert (torch.cdist(found.reshape(15, -1), found.reshape(15, -1)) + torch.eye(15)).min() > 0.1


def test_places_asked_for_in_inference_mode_serve_training() -> None:
    with torch.inference_mode():
        kept = places(7, 9, torch.device("cpu"))
    assert not kept.is_inference()
    assert places(7, 9, torch.device("cpu")) is kept


def test_attention_knows_left_from_right() -> None:
    """Attention alone treats cells alike wherever they are."""
    x = noise(1, 16, 4, 4)
    for positions in (False, True):
        torch.manual_seed(0)
        layer = TextAttention(16, 0, 16, positions)
        for parameter in layer.parameters():
            nn.init.normal_(parameter, std=0.3)
        mirrored = layer(x.flip(3), None, None).flip(3)
        assert torch.allclose(mirrored, layer(x, None, None), atol=1e-5) != positions


@pytest.mark.parametrize("config", [EVERYTHING, UPSAMPLER])
def test_gradients_are_the_slopes_of_the_answer(config: EfficientUNetConfig) -> None:
    network = make(config).double()
    start, direction = noise(2, 3, 16, 16).double(), noise(2, 3, 16, 16, seed=12).double()
    t, condition = torch.tensor([200.0, 600.0]), given(low_res=config.low_res)

    def score(x_t: Tensor) -> Tensor:
        return (network(x_t, t, condition) * noise(2, 3, 16, 16, seed=11)).sum()

    (gradient,) = torch.autograd.grad(score(start.requires_grad_()), start)
    with torch.no_grad():
        slope = (score(start + 1e-5 * direction) - score(start - 1e-5 * direction)) / 2e-5
    assert float((gradient * direction).sum()) == pytest.approx(float(slope), rel=1e-5)


@pytest.mark.parametrize("prediction", ["v", "eps"])
def test_before_training_the_answer_is_zero(prediction: Any) -> None:
    torch.manual_seed(0)
    network = EfficientUNet(replace(BASE, prediction=prediction), SCHEDULE)
    t = torch.full((2,), 400.0)
    with torch.no_grad():
        assert not network(noise(2, 3, 16, 16), t, given()).any()
    signal = per_image(SCHEDULE.alpha_bar(t).sqrt(), noise(2, 3, 16, 16)).float()
    expected = noise(2, 3, 16, 16) * (signal if prediction == "v" else 1 / signal)
    assert torch.allclose(answer(network, given(), t=400.0), expected, atol=1e-6)


@pytest.mark.parametrize("prediction", ["v", "eps"])
@pytest.mark.parametrize("t", [0.0, 123.5, 400.0])
@torch.no_grad()
def test_x0_follows_from_what_the_network_learned(prediction: Any, t: float) -> None:
    network = EfficientUNet(replace(BASE, prediction=prediction), SCHEDULE)
    network.head.bias.fill_(0.7)  # with its weights at zero it now answers 0.7 everywhere
    x_t, alpha_bar = noise(2, 3, 16, 16), float(SCHEDULE.alpha_bar(torch.tensor(t)))
    signal, sigma = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
    expected = signal * x_t - sigma * 0.7 if prediction == "v" else (x_t - sigma * 0.7) / signal
    assert torch.allclose(answer(network, Conditioning(), t=t), expected, atol=1e-5)


def test_time_counts_in_fractions_and_may_be_whole_numbers() -> None:
    network = make()
    with torch.no_grad():
        whole = network.predict(noise(2, 3, 16, 16), torch.full((2,), 500), [given()])[0].x0
    assert torch.equal(whole, answer(network, given(), t=500.0))
    assert not torch.equal(answer(network, given(), t=500.25), whole)


@torch.no_grad()
def test_time_means_the_same_share_of_any_schedule() -> None:
    x_t, condition = noise(2, 3, 16, 16), given()
    long, short = make(), make(schedule=Schedule.cosine(100))
    assert torch.equal(
        long(x_t, torch.full((2,), 500.0), condition), short(x_t, torch.full((2,), 50.0), condition)
    )


class TestBfloat16:
    def test_close_to_float32(self) -> None:
        exact = make(EVERYTHING)
        rough = make(EVERYTHING).to(torch.bfloat16).to(memory_format=torch.channels_last)
        condition = given(low_res=True)
        for t in (0.0, 350.0, 999.0):
            ours, theirs = answer(rough, condition, t=t), answer(exact, condition, t=t)
            assert ours.dtype == torch.float32
            assert ours.isfinite().all()
            # bfloat16 rounds by up to 0.4 %; a dozen layers make less than 5 % of it.
            assert (ours - theirs).norm() < 0.05 * theirs.norm()

    @pytest.mark.parametrize("t", [900.0, 513.0])
    def test_neighbouring_times_are_told_apart(self, t: float) -> None:
        # In bfloat16 900 and 901 are one number: told in it, the network could not answer differently.
        network = make().to(torch.bfloat16)
        x_t = noise(2, 3, 16, 16)
        with torch.no_grad():
            first, second = (network(x_t, torch.full((2,), time), given()) for time in (t, t + 1))
        assert not torch.equal(first, second)

    def test_the_noise_level_is_told_in_float32(self) -> None:
        network = make(UPSAMPLER).to(torch.bfloat16)
        level = torch.full((2,), 0.3).to(torch.bfloat16)
        condition = given(low_res=True)
        rounded = answer(network, replace(condition, low_res_noise=level.float()))
        assert torch.equal(answer(network, replace(condition, low_res_noise=level)), rounded)


def test_an_upsampler_mirrors_the_picture_at_its_edges_but_not_in_training() -> None:
    network = make(UPSAMPLER)
    conditioning = replace(
        given(low_res=True), text=None, drawing=None, low_res=torch.full((2, 3, 4, 4), 0.3)
    )
    x_t, t = noise(2, 3, 16, 16), torch.tensor([100.0, 700.0])
    with torch.no_grad():
        used = network(x_t, t, conditioning)
        margin = network.config.stride // 2
        assert conditioning.known is not None
        assert conditioning.keep_mask is not None
        wider = [
            nn.functional.pad(plane, (margin,) * 4, mode="reflect")
            for plane in (x_t, conditioning.known, conditioning.keep_mask)
        ]
        network.train()
        expected = network(wider[0], t, replace(conditioning, known=wider[1], keep_mask=wider[2]))
        bare = network(x_t, t, conditioning)
    torch.testing.assert_close(used, expected[:, :, margin:-margin, margin:-margin])
    assert not torch.allclose(used, bare)
