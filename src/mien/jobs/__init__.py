"""Jobs: steps that are put together now and run later, survive a crash, and are run by one process at a time.

``job`` has the nouns, ``states`` and ``editing`` what may happen to them, ``store`` the contract of every place that
keeps jobs, ``folder`` the one that keeps them as FaceFusion does, ``runner`` what runs them.
"""
