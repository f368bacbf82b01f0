"""The report: one self-contained page about runs. It reads run directories only and never imports torch."""
