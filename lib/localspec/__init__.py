"""Quantify local specialization in neural networks.

Cluster a network's neurons spectrally, then ask with statistics whether the clusters are
important (lesions hurt) and coherent (they go with particular classes or image features). The
library follows Hod, Filan, Casper, Critch and Russell, *Quantifying Local Specialization in Deep
Neural Networks* (arXiv:2110.08058). Data flows one way, module by module::

    profiles -> data -> networks -> training -> units -> graphs -> clustering -> subclusters
             -> lesions | feature_visualization -> measures -> pipeline -> screening -> plots
"""

from importlib.metadata import version

__version__ = version("localspec")
