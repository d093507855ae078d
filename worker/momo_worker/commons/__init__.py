"""What the steps share: the parts they are made with, how decisions are written, what stops a product. Steps import this, never one another."""
