"""DeepFaceLive models: networks that each know one person."""
