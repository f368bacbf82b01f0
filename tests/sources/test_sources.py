"""Sources: ranges, pairing, redrawing, loaders."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from manypaths.errors import InvalidType, InvalidValue
from manypaths.populations.source import PopulationSource
from manypaths.randomness import counter_uniform
from manypaths.sources.gan_sample import GanSample
from manypaths.sources.loader import LoaderSource
from manypaths.sources.paired import PairedSource
from manypaths.sources.pixels import to_float, to_uint8

IMAGES = torch.randint(256, (40, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_images_are_in_the_model_range_and_paired_with_latents() -> None:
    source = PairedSource(IMAGES, torch.arange(40), latent=3)
    sample = source.take(torch.tensor([5, 7]))
    assert torch.equal(sample.real, IMAGES[[5, 7]].float() / 127.5 - 1)
    assert torch.equal(sample.label, torch.tensor([5, 7]))
    again = source.take(torch.tensor([7]))
    assert torch.equal(sample.latent[1], again.latent[0])
    assert torch.equal(sample.seed[1], again.seed[0])


def test_pixels_go_there_and_back() -> None:
    every = torch.arange(256, dtype=torch.uint8)
    for pixels, low in (("symmetric", -1.0), ("unit", 0.0)):
        floats = to_float(every, pixels)
        assert float(floats[0]) == low
        assert float(floats[255]) == 1.0
        assert torch.equal(to_uint8(floats, pixels), every)


def test_all_visits_every_summand_once() -> None:
    source = PairedSource(IMAGES, torch.arange(40), latent=3)
    labels = torch.cat([chunk.label for chunk in source.all(7)])
    assert torch.equal(labels, torch.arange(40))
    parts = source.partition(12)
    assert [len(p) for p in parts] == [12, 12, 12]
    assert len(torch.cat(parts).unique()) == 36


def test_latents_are_redrawn_inside_a_refresh_only() -> None:
    source = PairedSource(IMAGES, latent=3)
    index = torch.arange(40)
    before = source.take(index).latent
    for _ in range(30):
        source.sample(8)
    assert torch.equal(before, source.take(index).latent)
    source.redraw()
    assert not torch.equal(before, source.take(index).latent)
    fixed = PairedSource(IMAGES, latent=3, redraw="never")
    company = torch.cat(fixed.partition(8))
    fixed.redraw()
    assert torch.equal(fixed.take(index).latent, before)
    again = PairedSource(IMAGES, latent=3, redraw="never")
    again.load_state_dict(fixed.state_dict())
    assert not torch.equal(torch.cat(fixed.partition(8)), company)
    assert torch.equal(torch.cat(fixed.partition(8)), torch.cat(again.partition(8)))


def test_the_authors_order_redraws_after_a_traversal() -> None:
    source = PairedSource(IMAGES, latent=3, redraw="traversal")
    before = source.take(torch.arange(40)).latent
    for _ in range(6):
        source.sample(8)
    assert not torch.equal(before, source.take(torch.arange(40)).latent)


def test_shuffled_order_visits_everything_once_per_epoch() -> None:
    source = PairedSource(IMAGES, torch.arange(40), latent=3, order="shuffled")
    labels = torch.cat([source.sample(8).label for _ in range(5)])
    assert torch.equal(labels.sort().values, torch.arange(40))


@pytest.mark.parametrize("options", [{}, {"latents": "fresh"}, {"order": "shuffled"}, {"redraw": "traversal"}])
def test_a_source_resumes(options) -> None:
    source = PairedSource(IMAGES, latent=3, **options)
    for _ in range(7):
        source.sample(8)
    source.redraw()
    state = source.state_dict()
    ahead = [source.sample(8) for _ in range(9)]
    other = PairedSource(IMAGES, latent=3, **options)
    other.load_state_dict(state)
    for expected in ahead:
        got = other.sample(8)
        assert torch.equal(got.real, expected.real)
        assert torch.equal(got.latent, expected.latent)


def test_an_infinite_source_refuses_a_full_pass() -> None:
    source = PairedSource(IMAGES, latent=3, latents="fresh")
    with pytest.raises(InvalidType, match="expected latents='paired'"):
        source.take(torch.tensor([0]))


def test_from_dataset_stacks_and_checks() -> None:
    source = PairedSource.from_dataset(TensorDataset(IMAGES.float(), torch.arange(40)), latent=2)
    assert source.size == 40
    assert torch.equal(source.take(torch.tensor([3])).real, IMAGES[3:4].float())
    ragged = [torch.zeros(2), torch.zeros(3)]
    with pytest.raises(InvalidValue, match="items differ in shape"):
        PairedSource.from_dataset(ragged, latent=2)
    with pytest.raises(InvalidType, match="items are str: expected tensors"):
        PairedSource.from_dataset(["a", "b"], latent=2)


def test_from_loader_draws_resumes_and_refuses() -> None:
    def loader(generator=None):
        data = TensorDataset(IMAGES.float(), torch.arange(40))
        return DataLoader(data, batch_size=8, shuffle=True, drop_last=True, generator=generator)

    source = LoaderSource(loader(torch.Generator().manual_seed(0)), latent=2)
    assert source.size is None
    for _ in range(8):
        source.sample(8)
    state = source.state_dict()
    ahead = [source.sample(8) for _ in range(6)]
    other = LoaderSource(loader(torch.Generator()), latent=2)
    other.load_state_dict(state)
    for expected in ahead:
        got = other.sample(8)
        assert torch.equal(got.label, expected.label)
        assert torch.equal(got.latent, expected.latent)
    with pytest.raises(InvalidValue, match="batch is 5 and the loader's batch_size is 8"):
        source.sample(5)
    with pytest.raises(InvalidValue, match="drop_last=True"):
        LoaderSource(DataLoader(IMAGES, batch_size=8), latent=2)
    with pytest.raises(InvalidType, match="cannot be resumed"):
        LoaderSource(loader(), latent=2).state_dict()


def numbers() -> LoaderSource:
    """0 .. 19 in shuffled batches of 4, five to an epoch."""
    data = TensorDataset(torch.arange(20.0)[:, None])
    generator = torch.Generator().manual_seed(0)
    return LoaderSource(DataLoader(data, batch_size=4, drop_last=True, shuffle=True, generator=generator), latent=1)


def drawn(source: LoaderSource, n: int) -> list[list[float]]:
    return [[*sample.real.flatten().tolist(), *sample.latent.flatten().tolist()] for sample in each(source, n)]


def each(source: LoaderSource, n: int) -> list[GanSample]:
    return [source.sample(4) for _ in range(n)]


@pytest.mark.parametrize("before", range(7))
def test_a_rewound_loader_resumes_where_it_stands(before) -> None:
    """Also where the epoch turns inside, batches were waiting before, and rewinds are nested."""
    ahead = drawn(numbers(), before + 9)
    source = numbers()
    drawn(source, before)
    for first, inner, second in ((3, 0, 0), (1, 6, 2), (0, 2, 4)):
        with source.rewound():
            assert drawn(source, first) == ahead[before:][:first]
            with source.rewound():
                assert drawn(source, inner) == ahead[before + first :][:inner]
            assert drawn(source, second) == ahead[before + first :][:second]
        state = source.state_dict()
        for resumed in (numbers(), source):  # the latter has batches waiting, which belong to the past
            resumed.load_state_dict(state)
            assert resumed.state_dict()["position"] == state["position"]
            with resumed.rewound():
                assert drawn(resumed, 9) == ahead[before:]
    assert drawn(source, 2) == ahead[before : before + 2], "some of those that wait"
    resumed = numbers()
    resumed.load_state_dict(source.state_dict())
    assert drawn(resumed, 7) == drawn(source, 7) == ahead[before + 2 :]


def test_a_loaders_batches_move_as_they_are_drawn() -> None:
    data = TensorDataset(IMAGES, torch.arange(40))
    source = LoaderSource(DataLoader(data, batch_size=8, drop_last=True), latent=2)
    assert {t.device.type for t in source.sample(8).tensors().values()} == {"cpu"}
    assert isinstance(source, LoaderSource)
    assert {t.device.type for t in source.to("meta").sample(8).tensors().values()} == {"meta"}
    there = DataLoader(data, batch_size=8, drop_last=True, collate_fn=lambda items: torch.empty(8, 3, device="meta"))
    sample = LoaderSource(there, latent=2).sample(8)
    assert sample.latent.device == sample.seed.device == sample.real.device == torch.device("meta")


def test_a_flip_is_a_function_of_the_seed() -> None:
    images = torch.arange(40 * 64).reshape(40, 1, 8, 8).remainder(251).to(torch.uint8)
    plain = PairedSource(images, latent=3)
    source = PairedSource(images, latent=3, flip=True)
    index = torch.arange(40)
    sample, unflipped = source.take(index), plain.take(index).real
    mirrored = torch.tensor([torch.equal(a, b.flip(-1)) for a, b in zip(sample.real, unflipped, strict=True)])
    kept = torch.tensor([torch.equal(a, b) for a, b in zip(sample.real, unflipped, strict=True)])
    assert (mirrored ^ kept).all()
    assert torch.equal(mirrored, counter_uniform(sample.seed, (), "flip") < 0.5)
    assert 8 < int(mirrored.sum()) < 32
    backwards = source.take(index.flip(0))
    assert torch.equal(backwards.real.flip(0), sample.real), (
        "the same component function is the same image in any batch"
    )
    source.redraw()
    assert not torch.equal(source.take(index).real, sample.real), "new seeds, new coins"


def test_half_of_fresh_draws_are_flipped() -> None:
    image = torch.zeros(1, 1, 1, 2, dtype=torch.uint8)
    image[..., 1] = 255
    source = PairedSource(image, latent=1, latents="fresh", flip=True)
    share = float((source.sample(4096).real[:, 0, 0, 0] > 0).double().mean())
    assert abs(share - 0.5) < 4 * 0.5 / 64


def test_without_flips_nothing_is_drawn_otherwise(monkeypatch) -> None:
    monkeypatch.setattr("manypaths.sources.paired.counter_uniform", lambda *a: pytest.fail("asked for a coin"))
    source = PairedSource(IMAGES, latent=3)
    index = torch.arange(8)
    assert torch.equal(source.take(index).real, to_float(IMAGES[index]))


def test_flips_are_the_same_in_a_population() -> None:
    for sources in (
        [PairedSource(IMAGES, latent=3, seed=s, flip=True) for s in range(3)],
        [PairedSource(IMAGES, latent=3, seed=s, flip=s == 1) for s in range(3)],
    ):
        index = torch.arange(36).reshape(3, 12)
        together = PopulationSource(sources).take(index).tensors()["real"]
        assert torch.equal(together, torch.stack([s.take(i).real for s, i in zip(sources, index, strict=True)]))


def test_points_have_no_mirror_image() -> None:
    with pytest.raises(InvalidType, match=r"flip is True and the data have shape \(9, 2\): expected images"):
        PairedSource(torch.zeros(9, 2), latent=1, flip=True)


def test_from_dataset_takes_arrays_and_pictures() -> None:
    image = pytest.importorskip("PIL.Image")
    array = IMAGES[:, 0].numpy()
    pictures = [(image.fromarray(pixels), i) for i, pixels in enumerate(array)]
    for dataset in (IMAGES.numpy(), [pixels[None] for pixels in array], pictures):
        sample = PairedSource.from_dataset(dataset, latent=2).take(torch.tensor([5]))
        assert torch.equal(sample.real, to_float(IMAGES[5:6]))
    assert sample.label.tolist() == [5]
    with pytest.raises(InvalidValue, match="list is empty: expected at least one item"):
        PairedSource.from_dataset([], latent=2)


class Noisy:
    """Items that are drawn anew where there is noise."""

    def __init__(self, noise: float, labels: bool = False):
        self.noise, self.labels = noise, labels

    def __len__(self) -> int:
        return 40

    def __getitem__(self, i: int):
        item = torch.full((2,), float(i))
        drawn = item + self.noise * torch.rand(2)
        return (item, drawn[0]) if self.labels else drawn


@pytest.mark.parametrize("labels", [False, True])
def test_random_augmentation_is_said_with_what_to_use_instead(labels) -> None:
    assert len(PairedSource.from_dataset(Noisy(0.0, labels), latent=2).real) == 40
    with pytest.raises(InvalidValue, match=r"item 0 of Noisy is another one .* LoaderSource\(DataLoader\(\.\.\.\)"):
        PairedSource.from_dataset(Noisy(1e-3, labels), latent=2)


def test_a_conditional_game_without_labels_is_said_before_training() -> None:
    from manypaths.games.adversarial import Adversarial
    from manypaths.models.mlp import MlpCritic, MlpGenerator
    from manypaths.objectives.minimax import Minimax

    generator, critic = MlpGenerator(latent=3, shape=(1, 8, 8)), MlpCritic(shape=(1, 8, 8))
    game = Adversarial(generator, critic, objective=Minimax(), conditional=True)
    with pytest.raises(InvalidValue, match="this game is conditional and its source has no labels"):
        game.check(PairedSource(IMAGES, latent=3).sample(4))


def test_a_sample_has_one_leading_dimension() -> None:
    with pytest.raises(InvalidValue, match="leading dimensions differ"):
        GanSample(torch.zeros(3, 2), torch.zeros(2, 2), torch.zeros(3))
    sample = GanSample(torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(3))
    assert len(sample) == 3
    assert len(sample[:2]) == 2


@pytest.mark.parametrize("redraw", ["traversal", "never"])
def test_when_to_redraw_latents_that_are_fresh_anyway_is_refused(redraw) -> None:
    message = f"redraw is '{redraw}' and latents are 'fresh', new in every draw: expected latents='paired'"
    with pytest.raises(InvalidValue, match=message):
        PairedSource(IMAGES, latent=3, latents="fresh", redraw=redraw)
    chosen = PairedSource(IMAGES, latent=3, latents="auto", redraw=redraw)
    with pytest.raises(InvalidValue, match=f"redraw is '{redraw}' and this oracle needs no finite sum"):
        chosen.settle(finite=False)
    assert chosen.settle(finite=True) is not None
