"""Average two weights files of the same network; docs/training.md has results of such averages.

    python benchmarks/average.py A.safetensors B.safetensors OUT.safetensors --share 0.75

Interpolating between the weights before and after fine-tuning can generalize better to new sources than either
(Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022, arXiv:2109.01903).
"""

import argparse
from dataclasses import replace
from pathlib import Path

from hashtagger.models.weights import load_weights, save_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("a", type=Path)
    parser.add_argument("b", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="weight of B in the average, 0 to 1")
    parser.add_argument("--image-size", type=int, help="input side in pixels of the average; by default that of A")
    parser.add_argument("--output-stride", type=int, choices=(8, 16), help="of a DRN; by default that of A")
    arguments = parser.parse_args()
    model, config = load_weights(arguments.a)
    other = load_weights(arguments.b)[0].state_dict()
    model.load_state_dict(
        {
            key: tensor.lerp(other[key], arguments.share) if tensor.is_floating_point() else tensor
            for key, tensor in model.state_dict().items()
        }
    )
    if arguments.output_stride:
        config = replace(config, model_args={**config.model_args, "output_stride": arguments.output_stride})
    save_weights(arguments.out, model, replace(config, image_size=arguments.image_size or config.image_size))


if __name__ == "__main__":
    main()
