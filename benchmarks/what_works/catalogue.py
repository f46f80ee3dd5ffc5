"""The networks that are tried: name -> (function that makes it, shape of an image), by source."""

from collections.abc import Callable

from torch import nn

from localspec.data._torchvision import import_torchvision

Entry = tuple[Callable[[], nn.Module], tuple[int, ...]]
N_CLASSES = 5
SMALL, FULL, CLIP = (3, 64, 64), (3, 224, 224), (3, 8, 64, 64)

TORCHVISION = {  # options, and images where they are not of 64 x 64 pixels
    "alexnet": ({}, None),
    "convnext_tiny": ({}, None),
    "densenet121": ({}, None),
    "efficientnet_b0": ({}, None),
    "efficientnet_v2_s": ({}, None),
    "googlenet": ({"aux_logits": False, "init_weights": False}, None),
    "inception_v3": ({"aux_logits": False, "init_weights": False}, (3, 96, 96)),
    "maxvit_t": ({}, FULL),
    "mnasnet0_5": ({}, None),
    "mobilenet_v2": ({}, None),
    "mobilenet_v3_large": ({}, None),
    "mobilenet_v3_small": ({}, None),
    "regnet_x_400mf": ({}, None),
    "regnet_y_400mf": ({}, None),
    "resnet18": ({}, None),
    "resnet50": ({}, None),
    "resnext50_32x4d": ({}, None),
    "wide_resnet50_2": ({}, None),
    "shufflenet_v2_x0_5": ({}, None),
    "squeezenet1_0": ({}, None),
    "squeezenet1_1": ({}, None),
    "swin_t": ({}, None),
    "swin_v2_t": ({}, None),
    "vgg11": ({}, None),
    "vgg11_bn": ({}, None),
    "vit_b_16": ({"image_size": 64}, None),
}
VIDEO = {
    "mc3_18": CLIP,
    "mvit_v1_b": (3, 16, 224, 224),
    "r2plus1d_18": CLIP,
    "r3d_18": CLIP,
    "s3d": (3, 16, 64, 64),
    "swin3d_t": CLIP,
}
TIMM = {  # sizes of images where they are not of 64 x 64 pixels
    "beit_base_patch16_224": FULL,
    "cait_xxs24_224": SMALL,
    "coat_lite_tiny": SMALL,
    "convnext_atto": SMALL,
    "convnextv2_atto": SMALL,
    "crossvit_tiny_240": (3, 240, 240),
    "deit_tiny_distilled_patch16_224": SMALL,
    "dla34": SMALL,
    "dpn48b": SMALL,
    "edgenext_xx_small": SMALL,
    "efficientformer_l1": FULL,
    "efficientnet_lite0": SMALL,
    "eva02_tiny_patch14_224": FULL,
    "fastvit_t8": SMALL,
    "ghostnet_050": SMALL,
    "gmlp_s16_224": SMALL,
    "hrnet_w18_small": SMALL,
    "lambda_resnet26t": SMALL,
    "levit_128s": SMALL,
    "mixer_s32_224": SMALL,
    "mobileone_s0": SMALL,
    "mobilevit_xxs": SMALL,
    "nf_resnet26": SMALL,
    "pit_ti_224": SMALL,
    "poolformer_s12": SMALL,
    "pvt_v2_b0": SMALL,
    "repvit_m0_9": SMALL,
    "resmlp_12_224": SMALL,
    "resnest14d": SMALL,
    "rexnet_100": SMALL,
    "skresnet18": SMALL,
    "swin_tiny_patch4_window7_224": SMALL,
    "tiny_vit_5m_224": SMALL,
    "twins_svt_small": SMALL,
    "visformer_tiny": SMALL,
    "vit_tiny_patch16_224": SMALL,
    "xcit_nano_12_p16_224": SMALL,
}
RESIZED = (  # made for images of another size, if not told otherwise
    "cait_xxs24_224",
    "coat_lite_tiny",
    "deit_tiny_distilled_patch16_224",
    "gmlp_s16_224",
    "levit_128s",
    "mixer_s32_224",
    "pit_ti_224",
    "resmlp_12_224",
    "swin_tiny_patch4_window7_224",
    "tiny_vit_5m_224",
    "twins_svt_small",
    "visformer_tiny",
    "vit_tiny_patch16_224",
    "xcit_nano_12_p16_224",
)
TIMM_OPTIONS = {name: {"img_size": 64} for name in RESIZED}
TIMM_OPTIONS["beit_base_patch16_224"] = {"embed_dim": 192, "depth": 4, "num_heads": 3}
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
    models = import_torchvision().models
    entries: dict[str, Entry] = {}
    for name, (options, shape) in TORCHVISION.items():
        entries[name] = (
            lambda name=name, options=options: getattr(models, name)(
                num_classes=N_CLASSES, **options
            ),
            shape or SMALL,
        )
    for name, shape in VIDEO.items():
        entries[f"video.{name}"] = (
            lambda name=name: getattr(models.video, name)(num_classes=N_CLASSES),
            shape,
        )
    return entries


def timm_networks() -> dict[str, Entry]:
    import_torchvision()
    import timm

    return {
        name: (
            lambda name=name: timm.create_model(
                name, num_classes=N_CLASSES, **TIMM_OPTIONS.get(name, {})
            ),
            shape,
        )
        for name, shape in TIMM.items()
    }


def transformers_networks() -> dict[str, Entry]:
    import_torchvision()
    import transformers

    def make(name: str, options: dict) -> nn.Module:
        config = getattr(transformers, f"{name}Config")(num_labels=N_CLASSES, **options)
        return getattr(transformers, f"{name}ForImageClassification")(config)

    return {
        f"{name}ForImageClassification": (lambda name=name, o=options: make(name, o), SMALL)
        for name, options in TRANSFORMERS.items()
    }
