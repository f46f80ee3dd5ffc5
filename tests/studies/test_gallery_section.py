"""What is said to bad parameters of the gallery's page."""

import pytest

from localspec.exceptions import InvalidInputError
from localspec.pipeline import GallerySection
from localspec.pipeline._sections import section_of

BAD = {
    "two networks": ({"networks": ["mlp", "cnn"]}, "networks", "at most 1 item"),
    "no network": ({"networks": []}, "networks = []", "at least 1 item"),
    "two seeds": ({"seeds": [0, 1]}, "seeds = [0, 1]", "at most 1 item"),
    "no seed": ({"seeds": []}, "seeds = []", "at least 1 item"),
    "a negative seed": ({"seeds": [-1]}, "seeds.0 = -1", "greater than or equal to 0"),
    "no exciting image": ({"n_exciting": 0}, "n_exciting = 0", "greater than or equal to 1"),
    "half an image": ({"n_exciting": 2.5}, "n_exciting = 2.5", "valid integer"),
    "text for a switch": ({"show_images": "no"}, "show_images = 'no'", "valid boolean"),
    "no steps": ({"n_steps": 0}, "n_steps = 0", "greater than or equal to 1"),
    "a misspelt name": ({"n_excited": 3}, "n_excited is not a setting of GallerySection"),
}


@pytest.mark.parametrize(
    ("parameters", "words"), [(parameters, words) for parameters, *words in BAD.values()], ids=BAD
)
def test_bad_parameters(parameters, words):
    with pytest.raises(InvalidInputError) as caught:
        GallerySection(**parameters)
    assert [word for word in words if word not in str(caught.value)] == []


def test_the_page_has_this_model():
    assert section_of("12_gallery") is GallerySection
