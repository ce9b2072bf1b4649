"""Artifacts as a content-addressed OCI image layout with normalised layers."""

from andon.adapters.oci.store import OciArtifactStore

__all__ = ["OciArtifactStore"]
