"""The measures themselves, each beside its mended forms: page 17_measures."""

from localspec.studies.measures._plots import plot_forms
from localspec.studies.measures._tables import forms_evidence_table, forms_table

__all__ = ["forms_evidence_table", "forms_table", "plot_forms"]
