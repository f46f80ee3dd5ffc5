"""The networks that are tried: name -> (function that makes it, shape of an image), by source."""

from collections.abc import Callable
from functools import partial

from torch import nn

from localspec.data._torchvision import import_torchvision

Entry = tuple[Callable[[], nn.Module], tuple[int, ...]]
N_CLASSES = 5
SMALL, FULL, CLIP = (3, 64, 64), (3, 224, 224), (3, 8, 32, 32)

# options, and the shape of an image
PLAIN = ({}, SMALL)
RESIZED = ({"img_size": 64}, SMALL)  # made for images of another size, if not told otherwise
TORCHVISION = {
    "alexnet": PLAIN,
    "convnext_tiny": PLAIN,
    "densenet121": PLAIN,
    "efficientnet_b0": PLAIN,
    "efficientnet_v2_s": PLAIN,
    "googlenet": ({"aux_logits": False, "init_weights": False}, SMALL),
    "inception_v3": ({"aux_logits": False, "init_weights": False}, (3, 96, 96)),
    "maxvit_t": ({}, FULL),
    "mnasnet0_5": PLAIN,
    "mobilenet_v2": PLAIN,
    "mobilenet_v3_large": PLAIN,
    "mobilenet_v3_small": PLAIN,
    "regnet_x_400mf": PLAIN,
    "regnet_y_400mf": PLAIN,
    "resnet18": PLAIN,
    "resnet50": PLAIN,
    "resnext50_32x4d": PLAIN,
    "wide_resnet50_2": PLAIN,
    "shufflenet_v2_x0_5": PLAIN,
    "squeezenet1_0": PLAIN,
    "squeezenet1_1": PLAIN,
    "swin_t": PLAIN,
    "swin_v2_t": PLAIN,
    "vgg11": PLAIN,
    "vgg11_bn": PLAIN,
    "vit_b_16": ({"image_size": 64}, SMALL),
}
VIDEO = ("mc3_18", "r2plus1d_18", "r3d_18", "swin3d_t")
TIMM = {
    "beit_base_patch16_224": ({"embed_dim": 192, "depth": 4, "num_heads": 3}, FULL),
    "cait_xxs24_224": RESIZED,
    "coat_lite_tiny": RESIZED,
    "convnext_atto": PLAIN,
    "convnextv2_atto": PLAIN,
    "crossvit_tiny_240": ({}, (3, 240, 240)),
    "deit_tiny_distilled_patch16_224": RESIZED,
    "dla34": PLAIN,
    "dpn48b": PLAIN,
    "edgenext_xx_small": PLAIN,
    "efficientformer_l1": ({}, FULL),
    "efficientnet_lite0": PLAIN,
    "eva02_tiny_patch14_224": ({}, FULL),
    "fastvit_t8": PLAIN,
    "ghostnet_050": PLAIN,
    "gmlp_s16_224": RESIZED,
    "hrnet_w18_small": PLAIN,
    "lambda_resnet26t": PLAIN,
    "levit_128s": RESIZED,
    "mixer_s32_224": RESIZED,
    "mobileone_s0": PLAIN,
    "mobilevit_xxs": PLAIN,
    "nf_resnet26": PLAIN,
    "pit_ti_224": RESIZED,
    "poolformer_s12": PLAIN,
    "pvt_v2_b0": PLAIN,
    "repvit_m0_9": PLAIN,
    "resmlp_12_224": RESIZED,
    "resnest14d": PLAIN,
    "rexnet_100": PLAIN,
    "skresnet18": PLAIN,
    "swin_tiny_patch4_window7_224": RESIZED,
    "tiny_vit_5m_224": PLAIN,
    "twins_svt_small": RESIZED,
    "visformer_tiny": RESIZED,
    "vit_tiny_patch16_224": RESIZED,
    "xcit_nano_12_p16_224": RESIZED,
}
HIDDEN = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
TRANSFORMER = {**HIDDEN, "intermediate_size": 64, "image_size": 64, "patch_size": 16}
STAGES = {"embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "image_size": 64}
TRANSFORMERS = {  # options of the configuration
    "Beit": TRANSFORMER,
    "Bit": {"depths": [1, 1], "hidden_sizes": [32, 64], "embedding_size": 32, "num_groups": 4},
    "ConvNext": {"depths": [1, 1], "hidden_sizes": [16, 32], "num_stages": 2},
    "DeiT": TRANSFORMER,
    "Dinov2": {**HIDDEN, "image_size": 64, "patch_size": 16},
    "EfficientNet": {},
    "MobileNetV2": {},
    "PoolFormer": {},
    "PvtV2": {},
    "RegNet": {"depths": [1, 1], "hidden_sizes": [16, 32], "embedding_size": 16},
    "ResNet": {"depths": [1, 1], "hidden_sizes": [32, 64], "embedding_size": 16},
    "Segformer": {},
    "Swin": {**STAGES, "patch_size": 4, "window_size": 4},
    "Swinv2": {**STAGES, "patch_size": 4, "window_size": 4},
    "ViT": TRANSFORMER,
    "ViTMSN": TRANSFORMER,
}


def torchvision_networks() -> dict[str, Entry]:
    get_model = import_torchvision().models.get_model
    entries: dict[str, Entry] = {
        name: (partial(get_model, name, num_classes=N_CLASSES, **options), shape)
        for name, (options, shape) in TORCHVISION.items()
    }
    for name in VIDEO:
        entries[f"video.{name}"] = (partial(get_model, name, num_classes=N_CLASSES), CLIP)
    return entries


def timm_networks() -> dict[str, Entry]:
    import_torchvision()
    import timm

    return {
        name: (partial(timm.create_model, name, num_classes=N_CLASSES, **options), shape)
        for name, (options, shape) in TIMM.items()
    }


def transformers_networks() -> dict[str, Entry]:
    import_torchvision()
    import transformers

    def make(name: str, options: dict) -> nn.Module:
        config = getattr(transformers, f"{name}Config")(num_labels=N_CLASSES, **options)
        return getattr(transformers, f"{name}ForImageClassification")(config)

    return {
        f"{name}ForImageClassification": (partial(make, name, options), SMALL)
        for name, options in TRANSFORMERS.items()
    }
