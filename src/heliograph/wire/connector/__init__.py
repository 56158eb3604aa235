"""The connector package for Power Platform and Logic Apps, from the operations; pure."""
