"""The gateway: addresses and bodies that clients of task gateways over ComfyUI and a face engine know.

Thin views of the same jobs, keys and limits as everything else.
"""
