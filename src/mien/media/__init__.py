"""Pictures, video and sound: the only package that imports PyAV.

Import what you need from its modules: ``sniff`` and ``probe`` look at files, ``images``, ``reader`` and
``writer`` move pixels, ``segments`` cuts a video and joins it again, ``encoders`` says what this
machine can write, ``atomic`` makes every output appear whole or not at all.
"""
