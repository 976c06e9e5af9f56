"""VideoCLIP's model, by the names of its authors' files: one BERT over seconds, one over words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from core.errors import EncoderError
from extractor.encoders.bert import HEAD, Bert, Sizes, masked_mean
from extractor.encoders.seeded import seeded
from extractor.encoders.tensors import State, insist, layers_of, length_of, require_any
from extractor.encoders.unfilled import unfilled
from extractor.encoders.vocabulary import END, START

SECONDS = 32  # of a run
CAPS = 64  # numbers of a text: [CLS] [SEP] words [SEP]
MOST_WORDS = CAPS - 3
PREFIX = "mmmodel."  # before every key of the authors' files
_CLASSIFIER = "video_encoder.classifier."
_MOST_LAYERS = 128


@dataclass(frozen=True, slots=True)
class Shape:
    """All that a model is beside its numbers; the defaults are the authors'."""

    features: int = 512  # numbers of a second
    video: Sizes = field(default_factory=lambda: Sizes(layers=6))
    text: Sizes = field(default_factory=Sizes)


class Model(nn.Module):
    """Both encoders. Their vectors are not normalised: the score is the plain inner product."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.video_encoder = VideoEncoder(shape)
        self.text_encoder = Bert(shape.text)

    def seconds(self, features: Tensor, mask: Tensor, *, sees_start: bool) -> Tensor:
        """Hidden states, [runs, 1 + seconds + 1, width], of [runs, seconds, features] and which of these are
        no padding, bool. What stands at the start is hidden from the others in the authors' localisation."""
        count = features.shape[1]
        bert = self.video_encoder.bert
        start, end = (
            bert.embeddings.word_embeddings.weight[[START, END]].expand(len(features), 2, -1).unbind(1)
        )
        tokens = torch.cat([start[:, None], self.video_encoder.videomlp(features), end[:, None]], dim=1)
        places = torch.arange(count + 2, device=features.device)
        places[-1] = SECONDS + 1  # however few come before it
        marks = torch.ones(len(features), 1, dtype=torch.bool, device=features.device)
        states: Tensor = bert(tokens, places, torch.cat([marks & sees_start, mask, marks], dim=1))
        return states

    def videos(self, features: Tensor, mask: Tensor) -> Tensor:
        """A vector of each run: the mean of its seconds' states and of the end's, but not of the start's."""
        states = self.seconds(features, mask, sees_start=True)[:, 1:]
        return masked_mean(states, torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1))

    def words(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Hidden states, [texts, tokens, width], of numbers `[CLS] words [SEP]`, filled up, and which of them
        are no padding, bool."""
        tokens = self.text_encoder.embeddings.word_embeddings(ids)
        states: Tensor = self.text_encoder(tokens, torch.arange(ids.shape[1], device=ids.device), mask)
        return states

    def texts(self, ids: Tensor, mask: Tensor) -> Tensor:
        """A vector of each text: the mean of its words' states and of the end's, but not of the start's."""
        return masked_mean(self.words(ids, mask)[:, 1:], mask[:, 1:])


class VideoEncoder(nn.Module):
    """Seconds made into words of a kind, and a BERT."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.videomlp = Projection(shape.features, shape.video.width)
        self.bert = Bert(shape.video)


class Projection(nn.Module):
    """Of a second's features into the width of words."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(features, width)
        self.LayerNorm = nn.LayerNorm(width)
        self.linear2 = nn.Linear(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """Each."""
        found: Tensor = self.linear2(self.LayerNorm(nn.functional.gelu(self.linear1(features))))
        return found


def drawn(shape: Shape, seed: int) -> Model:
    """As it comes out after `torch.manual_seed(seed)`."""
    with seeded(seed):
        return Model(shape).eval().requires_grad_(False)


def filled(state: State, shape: Shape, *, file: str, name: str) -> Model:
    """With a file's tensors; what it is to hold is seen before memory is taken for it. Of what the files of
    some versions and tasks hold beside them nothing is needed."""
    with unfilled():
        model = Model(shape)
    wanted = {key: tensor.shape for key, tensor in model.state_dict().items()}
    optional = [key for key in state if key.startswith(_CLASSIFIER) or key.endswith(".position_ids")]
    model.load_state_dict(insist(state, wanted, file=file, name=name, optional=optional), assign=True)
    return model.eval().requires_grad_(False)


def renamed(state: State) -> Mapping[str, Tensor]:
    """Without the prefix of the authors' files; what lies outside it stays, and is left over."""
    return {key.removeprefix(PREFIX): tensor for key, tensor in state.items()}


def shape_of(state: State, *, file: str, name: str, head: int = HEAD) -> Shape:
    """Read off a file's tensors; an EncoderError names one that tells and is missing. How wide a head of its
    attention is none tells."""
    with unfilled():
        usual = Model(Shape())
    require_any(state, [*usual.state_dict()], file=file, name=name)

    def length(key: str, axis: int) -> int:
        return length_of(state, key, axis, file=file, name=name)

    def unfit(why: str) -> EncoderError:
        return EncoderError(f"{file} does not fit {name}: {why}.")

    def sizes(of: str) -> Sizes:
        tables = f"{of}embeddings."
        width = length(f"{tables}word_embeddings.weight", 1)
        if width % head or not width:
            raise unfit(f"{tables}word_embeddings.weight is {width} wide, which is no multiple of {head}")
        found = Sizes(
            width=width,
            inner=length(f"{of}encoder.layer.0.intermediate.dense.weight", 0),
            layers=layers_of(state, f"{of}encoder.layer."),
            words=length(f"{tables}word_embeddings.weight", 0),
            places=length(f"{tables}position_embeddings.weight", 0),
            kinds=length(f"{tables}token_type_embeddings.weight", 0),
            head=head,
        )
        if found.layers > _MOST_LAYERS:
            raise unfit(f"{of}encoder has {found.layers} layers, and {_MOST_LAYERS} are the most")
        for what, has, least in (("word", found.words, END + 1), ("position", found.places, CAPS - 1)):
            if has < least:
                raise unfit(
                    f"{tables}{what}_embeddings.weight has {has} rows, and at least {least} are needed"
                )
        return found

    video, text = sizes("video_encoder.bert."), sizes("text_encoder.")
    if video.width != text.width:
        raise unfit(f"its vectors of videos have {video.width} numbers, and those of texts {text.width}")
    return Shape(length("video_encoder.videomlp.linear1.weight", 1), video, text)
