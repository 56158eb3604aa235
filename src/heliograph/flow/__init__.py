"""The steps of the flow. None knows another: they meet in the store."""
